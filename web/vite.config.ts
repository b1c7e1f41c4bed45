import { defineConfig } from "vite";

// The gateway serves the built page with `default-src 'self'`: nothing may be written into the
// document itself, neither small files as data: URLs nor the worklet as a blob:.
export default defineConfig({
  build: {
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    emptyOutDir: true,
  },
  worker: { format: "es" },
  // `npm run page:dev`: the page is served from its sources, the RPCs by a gateway beside it.
  server: {
    fs: { allow: [".."] },
    proxy: { "/streaming.StreamingService": "http://127.0.0.1:8080" },
  },
});
