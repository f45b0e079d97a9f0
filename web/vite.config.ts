import { defineConfig } from "vitest/config";

/** Where `npm run dev` finds a running `virtflow serve`. */
const server = process.env["VIRTFLOW_URL"] ?? "http://127.0.0.1:7711";

export default defineConfig({
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  server: { proxy: { "/api": server } },
  build: {
    outDir: "../crates/faces/virtflow-server/dist",
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    modulePreload: { polyfill: false },
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    rollupOptions: {
      output: {
        entryFileNames: "app.js",
        assetFileNames: "app[extname]",
      },
    },
  },
  test: { include: ["src/**/*.test.ts"] },
});
