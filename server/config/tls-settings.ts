import { z } from "zod";
import { flag } from "./setting-types.ts";

/** The settings of TLS. */
export const tlsSettings = {
  USE_TLS: flag
    .default(false)
    .describe(
      "Whether every port but `WYOMING_PORT` speaks TLS (1.2 and 1.3; HTTP/2 and HTTP/1.1 by ALPN), and nothing else. Off: plain text, for this machine or behind a proxy.",
    ),
  TLS_CERT_FILE: z
    .string()
    .min(1)
    .optional()
    .describe(
      "The certificate with its chain, in PEM. With `USE_TLS`. A new pair of files is taken within seconds, or at SIGHUP; connections that are open go on.",
    ),
  TLS_KEY_FILE: z
    .string()
    .min(1)
    .optional()
    .describe("The private key of the certificate, in PEM, without a passphrase."),
} as const;
