import { describe, expect, it } from "vitest";
import { InvalidConfig, readConfig } from "./config.ts";

function problemsOf(env: Record<string, string>): string {
  try {
    readConfig(env);
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidConfig);
    return (error as Error).message;
  }
  throw new Error("the configuration was accepted");
}

describe("readConfig", () => {
  it("gives the documented defaults for an empty environment", () => {
    expect(readConfig({})).toEqual({
      analysis: {
        model: { device: "auto" },
        uploads: "task",
        maxBytes: 10 * 1024 * 1024,
        maxSeconds: 900,
        buckets: [],
      },
      host: "127.0.0.1",
      grpcPort: 50051,
      httpPort: 8080,
      allowedHosts: ["127.0.0.1"],
      servesAnyHost: false,
      corsOrigins: [],
      failsOverWithheld: false,
      doors: ["openai", "deepgram"],
      maxSpeechInput: 4096,
      providers: {
        transliterates: false,
        systemPrompt: expect.stringContaining("voice assistant"),
        textTiers: ["offline"],
        speechTiers: ["local", "tone"],
      },
      agent: { env: {}, allow: [], readyMs: 15_000, retryMs: 30_000, timeoutMs: 30_000 },
      textTimeouts: { firstPartMs: 10_000, idleMs: 10_000, totalMs: 30_000 },
      speechTimeouts: { firstPartMs: 5000, idleMs: 5000, totalMs: 15_000 },
      maxTurns: 1000,
      maxTurnsPerDevice: 10,
      maxTurnsPerConnection: 100,
      maxTurnMs: 30_000,
      shutdownGraceMs: 20_000,
      updates: { folder: "data/updates", fromBlobs: false },
      maxMessageBytes: 52_428_800,
      trustedProxies: [],
      dataDir: "./data",
      sessionIdleMs: 300_000,
      database: {
        isEnabled: true,
        url: expect.stringMatching(/^file:\/\/\/.*\/data\/parley\.db$/),
        isShared: false,
        timeoutMs: 10_000,
      },
      rateLimits: { requestsPerSecond: 100, bytesPerSecond: 8 * 1024 * 1024 },
      quotas: { audioSeconds: 86_400, tokens: 0 },
      blobs: { type: "folder", path: expect.stringMatching(/^data.blobs$/) },
      screenshots: { isEnabled: true },
      memory: { isEnabled: true, timeoutMs: 2000 },
      frameMs: 96,
      logLevel: "info",
      logRooms: {},
      logTurns: true,
      logInterrupts: true,
      warnings: [],
    });
  });

  it("opens no door for none, and refuses a name twice or none beside another", () => {
    expect(readConfig({ DOORS: "none" }).doors).toEqual([]);
    expect(readConfig({ DOORS: " openai " }).doors).toEqual(["openai"]);
    expect(problemsOf({ DOORS: "openai,openai" })).toContain("DOORS");
    expect(problemsOf({ DOORS: "none,openai" })).toContain("DOORS");
  });

  it("takes an empty variable for an unset one", () => {
    expect(readConfig({ HTTP_PORT: "", SPEECH_TIERS: " " })).toEqual(readConfig({}));
  });

  it("collects the agent's settings, and passes no key on to it", () => {
    const { agent, providers } = readConfig({
      AGENT_COMMAND: '["python3", "agent.py"]',
      AGENT_DIR: "/agents",
      NEIRA_SOCKET_PATH: "/run/agent.sock",
      AGENT_ALLOW: "ListFiles, DesktopClick",
      AGENT_READY_TIMEOUT: "2.5",
      AGENT_RETRY_INTERVAL: "5",
      AGENT_TIMEOUT: "7",
      TEXT_TIERS: "agent,offline",
      PATH: "/bin",
      DISPLAY: ":0",
      LC_ALL: "C",
      GEMINI_API_KEY: "canary",
      MY_TOKEN: "canary",
    });
    expect(providers.textTiers).toEqual(["agent", "offline"]);
    expect(agent).toEqual({
      argv: ["python3", "agent.py"],
      dir: "/agents",
      socketPath: "/run/agent.sock",
      env: { PATH: "/bin", DISPLAY: ":0", LC_ALL: "C" },
      allow: ["ListFiles", "DesktopClick"],
      readyMs: 2500,
      retryMs: 5000,
      timeoutMs: 7000,
    });
  });

  it.each([
    [{ AGENT_ALLOW: "ProcessPrompt" }, "AGENT_ALLOW"],
    [{ AGENT_COMMAND: "python3 agent.py" }, "AGENT_COMMAND"],
    [{ NEIRA_SOCKET_PATH: `/${"x".repeat(103)}` }, "must be at most 103 bytes long"],
    [{ NEIRA_SOCKET_PATH: "127.0.0.1:50051" }, "names the gateway's own port 50051"],
    [{ TEXT_TIERS: "agent" }, "The tier agent needs AGENT_COMMAND or AGENT_DIR."],
  ])("refuses an agent's settings that cannot work: %j", (env, problem) => {
    expect(problemsOf(env as Record<string, string>)).toContain(problem);
  });

  it("is frozen", () => {
    expect(Object.isFrozen(readConfig({}))).toBe(true);
  });

  it("takes GRPC_HOST where HOST is not set", () => {
    expect(readConfig({ GRPC_HOST: "127.0.0.2" }).host).toBe("127.0.0.2");
    expect(readConfig({ GRPC_HOST: "127.0.0.2", HOST: "::1" }).host).toBe("::1");
  });

  it("names every problem at once", () => {
    const problems = problemsOf({
      HTTP_PORT: "http",
      AUDIO_CHUNK_MS: "0",
      SPEECH_TIERS: "local,siri",
    });
    expect(problems).toContain("HTTP_PORT");
    expect(problems).toContain("AUDIO_CHUNK_MS");
    expect(problems).toContain("SPEECH_TIERS");
  });

  it.each(["31", "1001", "96.5", "long"])("refuses AUDIO_CHUNK_MS=%s with the rule", (value) => {
    expect(problemsOf({ AUDIO_CHUNK_MS: value })).toMatch(
      /must be a whole number of milliseconds from 32 to 1000\n? +→ at AUDIO_CHUNK_MS/,
    );
    expect(readConfig({ AUDIO_CHUNK_MS: "32" }).frameMs).toBe(32);
    expect(readConfig({ AUDIO_CHUNK_MS: "1000" }).frameMs).toBe(1000);
  });

  it("refuses to listen beyond loopback without authentication unless told to", () => {
    expect(problemsOf({ HOST: "0.0.0.0" })).toContain("AUTH_MODE=open");
    expect(readConfig({ HOST: "0.0.0.0", AUTH_MODE: "open" }).host).toBe("0.0.0.0");
  });

  it("serves any host's name beyond loopback, unless some are named", () => {
    const env = { HOST: "0.0.0.0", AUTH_MODE: "open" };
    expect(readConfig(env).servesAnyHost).toBe(true);
    const named = readConfig({ ...env, ALLOWED_HOSTS: "voice.example, voice.example:8080" });
    expect(named.servesAnyHost).toBe(false);
    expect(named.allowedHosts).toContain("voice.example:8080");
  });

  it.each([
    ["https://voice.example/", "voice.example"],
    ["Voice.Example", "voice.example"],
    ["voice.example/", "voice.example"],
    ["*.example", "wildcards are not supported"],
    ["a b", "voice.example"],
  ])("refuses ALLOWED_HOSTS=%s with the rule", (hosts, hint) => {
    const problems = problemsOf({ ALLOWED_HOSTS: `a.example,${hosts}` });
    expect(problems).toContain("ALLOWED_HOSTS");
    expect(problems).toContain(JSON.stringify(hosts));
    expect(problems).toContain(hint);
  });

  it.each(["https://app.example,http://[::1]:5173", "*", "capacitor://localhost"])(
    "takes CORS_ORIGINS=%s",
    (origins) =>
      expect(readConfig({ CORS_ORIGINS: origins }).corsOrigins).toEqual(origins.split(",")),
  );

  it.each([
    ["app.example", ": https://app.example"],
    ["https://app.example/", ": https://app.example"],
    ["https://app.example/page?a#b", ": https://app.example"],
    ["https://App.Example", ": https://app.example"],
    ["https://app.example:443", ": https://app.example"],
    ["https://user@app.example", ": https://app.example"],
    ["https://bücher.example", ": https://xn--bcher-kva.example"],
    ["https://", ": https://app.example"],
    ["file:///page.html", ": https://app.example"],
    ["null", "sandboxed"],
    ["https://*.example", "wildcard"],
    ["https://*", "wildcard"],
  ])("refuses CORS_ORIGINS=%s with the rule and what was meant", (origin, hint) => {
    const problems = problemsOf({ CORS_ORIGINS: `https://good.example,${origin}` });
    expect(problems).toContain("CORS_ORIGINS");
    expect(problems).toContain(JSON.stringify(origin));
    expect(problems).toContain(hint);
  });

  it("refuses any origin beside named ones", () => {
    expect(problemsOf({ CORS_ORIGINS: "*,https://app.example" })).toContain("name it alone");
  });

  it("collects the settings of authentication", () => {
    expect(readConfig({ AUTH_MODE: "token", DATA_DIR: "/d" }).auth).toEqual({
      mode: "token",
      path: "/d/tokens.json",
    });
    const secret = "s".repeat(32);
    expect(
      readConfig({ AUTH_MODE: "jwt", AUTH_JWT_SECRET: secret, AUTH_JWT_ISSUER: "i" }).auth,
    ).toEqual({
      mode: "jwt",
      path: "data/tokens.json",
      jwt: { keys: { secret }, issuer: "i" },
    });
    const jwksUrl = "https://login.example/jwks";
    const set = { AUTH_MODE: "jwt", AUTH_JWKS_URL: jwksUrl, AUTH_JWT_AUDIENCE: "a" };
    expect(readConfig(set).auth?.jwt).toEqual({ keys: { jwksUrl }, audience: "a" });
    expect(readConfig({ AUTH_MODE: "open" }).auth).toBeUndefined();
  });

  it.each([
    [{ AUTH_MODE: "basic" }, "AUTH_MODE"],
    [{ AUTH_MODE: "jwt" }, "set one of AUTH_JWT_SECRET and AUTH_JWKS_URL"],
    [{ AUTH_MODE: "jwt", AUTH_JWT_SECRET: "short" }, "at least 32 bytes"],
    [{ AUTH_MODE: "token", AUTH_JWT_SECRET: "s".repeat(32) }, "without AUTH_MODE=jwt"],
    [{ AUTH_JWT_AUDIENCE: "a" }, "AUTH_JWT_AUDIENCE is set without AUTH_MODE=jwt"],
    [{ AUTH_MODE: "jwt", AUTH_JWKS_URL: "https://a.example" }, "without AUTH_JWT_AUDIENCE"],
    [
      { AUTH_MODE: "jwt", AUTH_JWKS_URL: "http://a.example", AUTH_JWT_AUDIENCE: "a" },
      "AUTH_JWKS_URL must be https",
    ],
  ])("refuses %j", (env, problem) => {
    expect(problemsOf(env)).toContain(problem);
    expect(problemsOf(env)).not.toContain("ssssssss");
  });

  it.each(["0.0.0.0", "::", "192.168.1.5", "voice.example"])(
    "listens on %s with tokens or said aloud, and refuses it without",
    (HOST) => {
      expect(problemsOf({ HOST })).toContain("Set AUTH_MODE=token or jwt");
      for (const AUTH_MODE of ["token", "open"]) {
        expect(readConfig({ HOST, AUTH_MODE }).host).toBe(HOST);
      }
    },
  );

  it("refuses a port of the update feed that another listener has", () => {
    expect(problemsOf({ UPDATE_ENABLED: "true", UPDATE_PORT: "8080" })).toContain("must differ");
    expect(readConfig({ UPDATE_PORT: "8080" }).updates.port).toBeUndefined();
    expect(readConfig({ UPDATE_ENABLED: "true" }).updates.port).toBe(8081);
  });

  it("refuses one port for both listeners, except 0", () => {
    expect(problemsOf({ GRPC_PORT: "9000", HTTP_PORT: "9000" })).toContain("must differ");
    expect(readConfig({ GRPC_PORT: "0", HTTP_PORT: "0" }).grpcPort).toBe(0);
  });

  it("uses each provider that has its key, best first", () => {
    const { providers } = readConfig({
      GEMINI_API_KEY: "g",
      LANGCHAIN_MODEL: "openai:llama",
      OPENAI_BASE_URL: "http://127.0.0.1:11434/v1",
      AZURE_SPEECH_KEY: "a",
      AZURE_SPEECH_REGION: "westeurope",
      EDGE_TTS_ENABLED: "true",
      KOKORO_DIR: "data/kokoro",
      SPEECH_COMMAND: '["espeak-ng", "--stdout"]',
    });
    expect(providers.textTiers).toEqual(["gemini-live", "gemini", "langchain", "offline"]);
    expect(providers.speechTiers).toEqual(["azure", "edge", "kokoro", "local", "command", "tone"]);
    expect(providers).toMatchObject({
      gemini: {
        apiKey: "g",
        model: "gemini-3.8-flash",
        liveModel: "gemini-3.8-live",
        search: true,
      },
      langchain: {
        model: "openai:llama",
        googleApiKey: "g",
        openaiBaseUrl: "http://127.0.0.1:11434/v1",
      },
      azure: { apiKey: "a", region: "westeurope", voice: "en-US-AriaNeural" },
      edge: { voice: "en-US-JennyNeural" },
      kokoro: { voice: "af_heart", dir: "data/kokoro" },
      command: { argv: ["espeak-ng", "--stdout"], format: "wav", env: {} },
    });
  });

  it("has LangChain stand behind Gemini with its key alone, by the same model", () => {
    const { providers } = readConfig({ GEMINI_API_KEY: "g", GEMINI_MODEL: "gemini-x" });
    expect(providers.textTiers).toEqual(["gemini-live", "gemini", "langchain", "offline"]);
    expect(providers.langchain).toEqual({ model: "google:gemini-x", googleApiKey: "g" });
    expect(providers.gemini?.search).toBe(true);
  });

  it("takes the name of a model of Gemini without its vendor", () => {
    const env = { GEMINI_API_KEY: "g", LANGCHAIN_MODEL: "gemini-2.5-flash-lite" };
    expect(readConfig(env).providers.langchain?.model).toBe("google:gemini-2.5-flash-lite");
  });

  it.each([
    ["INFO", "info"],
    ["Warning", "warn"],
    ["WARN", "warn"],
    ["CRITICAL", "fatal"],
    ["debug", "debug"],
  ])("takes LOG_LEVEL=%s for %s", (given, level) => {
    expect(readConfig({ LOG_LEVEL: given }).logLevel).toBe(level);
  });

  it("takes levels of single rooms", () => {
    const { logLevel, logRooms } = readConfig({
      LOG_LEVEL: "warn, providers=DEBUG,storage=warning",
    });
    expect({ logLevel, logRooms }).toEqual({
      logLevel: "warn",
      logRooms: { providers: "debug", storage: "warn" },
    });
    expect(readConfig({ LOG_LEVEL: "providers=debug" }).logLevel).toBe("info");
  });

  it.each(["loud", "info,debug", "cellar=debug", "providers=loud", "info,providers"])(
    "refuses LOG_LEVEL=%s",
    (level) => {
      expect(problemsOf({ LOG_LEVEL: level })).toContain("LOG_LEVEL");
    },
  );

  it("traces only where a collector is named", () => {
    expect(readConfig({ OTEL_SERVICE_NAME: "x" }).tracing).toBeUndefined();
    const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318/" };
    expect(readConfig(endpoint).tracing).toMatchObject({
      tracesUrl: "http://127.0.0.1:4318/v1/traces",
      metricsUrl: "http://127.0.0.1:4318/v1/metrics",
      ratio: 1,
      followsParent: true,
    });
    expect(readConfig({ ...endpoint, OTEL_SDK_DISABLED: "true" }).tracing).toBeUndefined();
    const own = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://127.0.0.1:4318/traces" };
    const { tracing } = readConfig({
      ...own,
      OTEL_TRACES_SAMPLER: "traceidratio",
      OTEL_TRACES_SAMPLER_ARG: "0.1",
      OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20t, x=1",
    });
    expect(tracing).toMatchObject({
      tracesUrl: "http://127.0.0.1:4318/traces",
      headers: { authorization: "Bearer t", x: "1" },
      ratio: 0.1,
      followsParent: false,
    });
    expect(tracing).not.toHaveProperty("metricsUrl");
    const problems = problemsOf({ OTEL_EXPORTER_OTLP_HEADERS: "secret-token" });
    expect(problems).toContain("OTEL_EXPORTER_OTLP_HEADERS");
    expect(problems).not.toContain("secret-token");
  });

  it("asks for the two files of USE_TLS, and reads them with it alone", () => {
    const files = { TLS_CERT_FILE: "chain.pem", TLS_KEY_FILE: "key.pem" };
    expect(problemsOf({ USE_TLS: "true", TLS_CERT_FILE: "chain.pem" })).toContain("TLS_KEY_FILE");
    expect(readConfig({ USE_TLS: "true", ...files }).tls).toEqual({
      certFile: "chain.pem",
      keyFile: "key.pem",
    });
    expect(readConfig({ USE_TLS: "false", ...files })).toEqual(readConfig({}));
  });

  it.each([
    ["TEXT_TIERS", "gemini", "GEMINI_API_KEY"],
    ["TEXT_TIERS", "langchain", "LANGCHAIN_MODEL or GEMINI_API_KEY"],
    ["SPEECH_TIERS", "azure", "AZURE_SPEECH_KEY"],
    ["SPEECH_TIERS", "edge", "EDGE_TTS_ENABLED"],
    ["SPEECH_TIERS", "command", "SPEECH_COMMAND"],
  ])("refuses %s=%s without %s", (setting, tier, missing) => {
    expect(problemsOf({ [setting]: tier })).toContain(missing);
  });

  it.each(["West Europe", "westeurope/path", "https://westeurope.example", "-", "west europe"])(
    "refuses AZURE_SPEECH_REGION=%s with the rule",
    (region) => {
      const problems = problemsOf({ AZURE_SPEECH_KEY: "a", AZURE_SPEECH_REGION: region });
      expect(problems).toMatch(
        /must be a region's short name.*westeurope\n? +→ at AZURE_SPEECH_REGION/,
      );
    },
  );

  it("refuses Azure's key without a region or a host, whichever tiers are named", () => {
    for (const env of [{}, { SPEECH_TIERS: "local" }]) {
      const problems = problemsOf({ ...env, AZURE_SPEECH_KEY: "secret" });
      expect(problems).toContain("AZURE_SPEECH_KEY is set without AZURE_SPEECH_REGION");
      expect(problems).not.toContain("secret");
    }
    const host = "wss://azure.example";
    const { providers } = readConfig({ AZURE_SPEECH_KEY: "a", AZURE_SPEECH_HOST: host });
    expect(providers.azure).toMatchObject({ host });
  });

  it.each([
    ["TEXT_TIERS", "offline,offline", "offline"],
    ["SPEECH_TIERS", "local, tone, local", "local"],
  ])("refuses %s=%s, which names a tier twice", (setting, tiers, twice) => {
    const problems = problemsOf({ [setting]: tiers });
    expect(problems).toContain(`names ${twice} twice`);
    expect(problems).toContain(setting);
  });

  it.each([
    [{ MAX_PROCESSING_TIME: "10" }, "TEXT_TIMEOUT 30 gives a tier 10.0 s", "below 30."],
    [{ SPEECH_TIMEOUT: "91" }, "SPEECH_TIMEOUT 91 gives a tier 30.3 s", "below 90."],
  ])("refuses a tier that may be silent until the deadline: %o", (env, what, hint) => {
    const problems = problemsOf(env);
    expect(problems).toContain(what);
    expect(problems).toContain("MAX_PROCESSING_TIME ends the turn");
    expect(problems).toContain(hint);
    expect(readConfig({ MAX_PROCESSING_TIME: "11" }).maxTurnMs).toBe(11_000);
  });

  it("takes Kokoro for its folder, or by name where packages hold its files", () => {
    expect(readConfig({ KOKORO_DIR: "k" }).providers.speechTiers).toEqual([
      "kokoro",
      "local",
      "tone",
    ]);
    const named = readConfig({ SPEECH_TIERS: "local,kokoro", KOKORO_VOICE: "bm_lewis" });
    expect(named.providers.kokoro).toEqual({ voice: "bm_lewis" });
    expect(readConfig({ KOKORO_VOICE: "bm_lewis" }).providers.kokoro).toBeUndefined();
    const elsewhere = readConfig({ KOKORO_DIR: "k", SPEECH_TIERS: "local" }).providers;
    expect(elsewhere.speechTiers).toEqual(["local"]);
  });

  it("refuses a voice of Kokoro that would be a path", () => {
    for (const voice of ["../af_heart", "af_heart.bin", "af heart"]) {
      expect(problemsOf({ KOKORO_VOICE: voice })).toContain("KOKORO_VOICE");
    }
  });

  it("refuses to let LangChain trace conversations to another service", () => {
    const env = { LANGCHAIN_MODEL: "openai:x", LANGSMITH_TRACING: "true" };
    expect(problemsOf(env)).toContain("LANGSMITH_TRACING");
    expect(readConfig({ LANGSMITH_TRACING: "true" }).providers.textTiers).toEqual(["offline"]);
  });

  it("never repeats a value that may be a key", () => {
    expect(problemsOf({ GEMINI_API_KEY: "se cret", LANGCHAIN_MODEL: "se-cret" })).not.toContain(
      "cret",
    );
  });

  it("keeps keys from a speaking program", () => {
    const env = { PATH: "/bin", LC_ALL: "C", GEMINI_API_KEY: "secret", SPEECH_COMMAND: '["x"]' };
    expect(readConfig(env).providers.command?.env).toEqual({ PATH: "/bin", LC_ALL: "C" });
  });

  it("takes proxies as addresses or networks, and nothing else", () => {
    const { trustedProxies } = readConfig({ TRUSTED_PROXIES: "10.0.0.0/8, ::1,127.0.0.1" });
    expect(trustedProxies).toEqual(["10.0.0.0/8", "::1", "127.0.0.1"]);
    for (const proxy of ["proxy.example", "10.0.0.0/33", "10.0.0.0/8/8", "::/129", "10.0.0.0/"]) {
      expect(problemsOf({ TRUSTED_PROXIES: proxy })).toContain("TRUSTED_PROXIES");
    }
  });

  it("takes the rate of a program that writes raw samples", () => {
    const { providers } = readConfig({ SPEECH_COMMAND: '["say"]', SPEECH_COMMAND_FORMAT: "22050" });
    expect(providers.command?.format).toEqual({ sampleRateHz: 22_050 });
  });

  it("refuses a speaking program that is not a JSON array of words", () => {
    expect(problemsOf({ SPEECH_COMMAND: "espeak-ng --stdout" })).toContain("JSON array");
    expect(problemsOf({ SPEECH_COMMAND: "[]" })).toContain("SPEECH_COMMAND");
  });
});
