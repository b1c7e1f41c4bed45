import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A self-signed certificate for `localhost`, `voice.example` and 127.0.0.1, and its key, in PEM. */
export type TestCertificate = { readonly cert: string; readonly key: string };

/** Two files as a gateway reads them. */
export type CertificateFiles = Disposable & {
  readonly env: Readonly<Record<"USE_TLS" | "TLS_CERT_FILE" | "TLS_KEY_FILE", string>>;
  /** Replaces both files, each at once. */
  write(certificate: TestCertificate): void;
};

/** Makes a certificate with OpenSSL. */
export function makeCertificate(name: string): TestCertificate {
  const folder = mkdtempSync(join(tmpdir(), "parley-tls-"));
  const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const names = "subjectAltName=DNS:localhost,DNS:voice.example,IP:127.0.0.1";
  try {
    execFileSync("openssl", [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ...["-days", "2", "-subj", `/CN=${name}`, "-addext", names],
      ...["-out", certFile, "-keyout", keyFile],
    ]);
    return { cert: readFileSync(certFile, "utf8"), key: readFileSync(keyFile, "utf8") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Writes a certificate to files that are removed with the answer. */
export function writeCertificate(certificate: TestCertificate): CertificateFiles {
  const folder = mkdtempSync(join(tmpdir(), "parley-tls-"));
  const [certFile, keyFile] = [join(folder, "fullchain.pem"), join(folder, "privkey.pem")];
  const replace = (file: string, text: string) => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  const write = ({ cert, key }: TestCertificate) => {
    replace(certFile, cert);
    replace(keyFile, key);
  };
  write(certificate);
  return {
    env: { USE_TLS: "true", TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile },
    write,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}
