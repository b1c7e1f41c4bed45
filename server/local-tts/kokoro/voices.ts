/** The known content of a file, which may be split in parts. */
export type KnownContent = {
  readonly bytes: number;
  /** Of the whole content, in hexadecimal digits. */
  readonly sha256: string;
};

/** The model: Kokoro-82M, version 1.0, in half precision. */
export const modelContent: KnownContent = {
  bytes: 163_234_740,
  sha256: "ba4527a874b42b21e35f468c10d326fdff3c7fc8cac1f85e9eb6c0dfc35c334a",
};

/**
 * English voices of Kokoro 1.0: American women and men, British women and men. Each has its file's
 * SHA-256 and the factor that brings it to about -20 dBFS RMS, measured on three clauses.
 */
const voices: ReadonlyMap<string, readonly [sha256: string, gain: number]> = new Map(
  Object.entries({
    af_alloy: ["c4a6b876047fd7fb472edf4ebd63cfac7c3b958a7cae7c106e8f038ca6308c45", 0.88],
    af_aoede: ["4a004c33430762e2461eedb2013fad808ef4ab3121f5300f554476caf58d8361", 0.59],
    af_bella: ["f69d836209b78eb8c66e75e3cda491e26ea838a3674257e9d4e5703cbaf55c8b", 1.08],
    af_heart: ["d583ccff3cdca2f7fae535cb998ac07e9fcb90f09737b9a41fa2734ec44a8f0b", 1.13],
    af_jessica: ["a240a5e3c15b43563d6e923bdca8ef5613a23471d9b77653694012435df23bd8", 0.98],
    af_kore: ["9be5221b6a941c04b561959b8ff0b06e809444dcc4ab7e75a7b23606f691819e", 0.69],
    af_nicole: ["cd2191ab31b914ed7b318416b0e4440fdf392ddad9106a060819aa600a64f59a", 0.98],
    af_nova: ["18778272caa0d0eebaea251c35fd635f038434f9eee5e691d02a174bd328414f", 1.5],
    af_river: ["00a2bcf82b1d86e8f19902ede58c65ccf6c0e43b44b7d74fad54e5d8933c9c30", 0.9],
    af_sarah: ["4409fbc125afabacc615d94db5398d847006a737b0247d6892b7a9a0007a2f0a", 0.85],
    af_sky: ["4435255c9744f3f31659e0d714ab7689bf65d9e77ec1cce060f083912614f0b9", 1.17],
    am_adam: ["162b035ed91cfc48b6046982184c645f72edcdd1b82843347f605d7bf7b15716", 0.67],
    am_echo: ["3968b92c3c4cd1c4416dbded36c13eaa388a90d5788d02a13e4d781f5f8cf3c3", 0.95],
    am_eric: ["e8b5be17edd1e3636901ce7598baafe2dc8dd8ff707a0c23bf9e461add7e2832", 0.9],
    am_fenrir: ["c27989f741f7ee34d273a39d8a595cc0837d35f5ced9a29b7cc162614616df43", 0.71],
    am_liam: ["52403be32fd047c6a44517cb0bcd6b134f2a18baa73e70ef41651e0eab921ade", 0.96],
    am_michael: ["1d1f21dd8da39c30705cd4c75d039d265e9bc4a2a93ed09bc9e1b1225eb95ba1", 1.22],
    am_onyx: ["da5d135b424164916d75a68ffb4c2abce3d7d5ccc82dd1ee6cf447ce286145e6", 0.99],
    am_puck: ["fcf73c989033e9233e0b98713eca600c8c74dcc1614b37009d5450ff4a2274a0", 0.66],
    am_santa: ["61150cf726ab6c5ed7a99f90a304f91f5a72c00c592e89ec94e5df11c319227a", 1.08],
    bf_alice: ["08afa6ba24da61ea5e8efa139e5aadc938d83f0a6da5a900adaf763ac1da5573", 0.84],
    bf_emma: ["669fe0647f9dd04fcab92f1439a40eeb4c8b4ab1f82e4996fe3d918ce4a63b73", 0.83],
    bf_isabella: ["3754352c4aaa46d17f27654ab7518d65b62ad6163a0f55a5f4330c2da2c4e94f", 0.61],
    bf_lily: ["5e0ee32ebe64a467124976b14e69590746f1c4ce41a12b587a50c862edfea335", 0.91],
    bm_daniel: ["6b3194bbceffb746733cbc22c8f593dd44e401a71d53895a2dca891bc595a1e8", 0.97],
    bm_fable: ["f889083196807b4adb15e9204252165f503b8d33d3982e681c52443c49d798f1", 1.16],
    bm_george: ["c4b235a4c1f2cd3b939fed08b899ce9385638b763f7b73a59616c4fc9bd6c9bc", 0.93],
    bm_lewis: ["b8f671cef828c30e66fdf0b0756a76bba58f6bb3398cbbf27058642acbcedb97", 1.17],
  } satisfies { [voice: string]: readonly [string, number] }),
);

/** Bytes of a voice file: 510 rows of 256 single-precision numbers. */
const voiceBytes = 510 * 256 * 4;

/** The names of the voices. */
export const voiceNames: readonly string[] = [...voices.keys()];

/** A voice. */
export type KokoroVoice = {
  /** The content of its file. */
  readonly content: KnownContent;
  /** Brings it to about -20 dBFS RMS. */
  readonly gain: number;
};

/** The voice of that name; undefined if there is none. */
export function findVoice(voice: string): KokoroVoice | undefined {
  const [sha256, gain] = voices.get(voice) ?? [];
  if (sha256 === undefined || gain === undefined) return undefined;
  return { content: { bytes: voiceBytes, sha256 }, gain };
}
