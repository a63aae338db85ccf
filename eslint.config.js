// Lint of the explorer's page: mistakes, and the few habits that keep a module readable.
import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["src/eoslab/web/static/vendor/", "tests/browser/axe.min.js", ".venv/"] },
  js.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      curly: "error",
      eqeqeq: "error",
      "no-implicit-coercion": "error",
      "no-nested-ternary": "error",
      "no-param-reassign": "error",
      "no-shadow": "error",
      "no-var": "error",
      "object-shorthand": "error",
      "one-var": ["error", "never"],
      "prefer-const": "error",
    },
  },
  {
    files: ["src/eoslab/web/static/**/*.js", "src/eoslab/report/*.js"],
    languageOptions: { globals: { ...globals.browser, uPlot: "readonly" } },
  },
  { files: ["src/eoslab/report/*.js"], languageOptions: { sourceType: "script" } },
];
