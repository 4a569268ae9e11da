// Look at every built page as readers do: on a desk and on a phone, light and dark; and check what a program can check.
//
//     npm ci --ignore-scripts --prefix .ci/pages            # once; chromium is the system's: apt-get install chromium
//     node .ci/pages/look.mjs                               # all pages; writes to docs/_build/look
//     node .ci/pages/look.mjs --only 'kernels|ladder' --skip generated --forms phone-dark
//
// Writes a picture of each page in each form, and report.json. Prints what axe-core finds
// serious, errors of scripts, pages wider than their screen, headings that are cut, small writing, and pictures shrunk
// until theirs is.
// Ends with an error if there is any. The browser has no network.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const HERE = dirname(fileURLToPath(import.meta.url));
const AXE = readFileSync(join(HERE, "node_modules", "axe-core", "axe.min.js"), "utf8");
const HTML = resolve(HERE, "../../docs/_build/html");
const FORMS = {
  "desk-light": { viewport: { width: 1400, height: 900 }, colorScheme: "light" },
  "desk-dark": { viewport: { width: 1400, height: 900 }, colorScheme: "dark" },
  "phone-light": { viewport: { width: 390, height: 844 }, colorScheme: "light", isMobile: true, hasTouch: true },
  "phone-dark": { viewport: { width: 390, height: 844 }, colorScheme: "dark", isMobile: true, hasTouch: true },
};
// A browser's pictures cannot be higher.
const HIGHEST = 16000;

const { values: given } = parseArgs({
  options: {
    html: { type: "string", default: HTML },
    out: { type: "string", default: resolve(HTML, "../look") },
    only: { type: "string", default: "" },
    skip: { type: "string", default: "^$" },
    forms: { type: "string", default: "" },
    browser: { type: "string", default: "/usr/bin/chromium" },
  },
});

function pagesOf(folder) {
  const found = readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".html"))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    // Files of the theme, lists of sources, and pages that only lead to others.
    .filter((name) => !/(^|\/)(_static|_modules)\b/.test(name));
  return found.filter((name) => RegExp(given.only).test(name) && !RegExp(given.skip).test(name)).sort();
}

// Runs in the page: faults that axe does not look for.
function measured() {
  const faults = [];
  const screen = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > screen + 1) {
    faults.push(`page is ${document.documentElement.scrollWidth} wide, the screen ${screen}`);
  }
  for (const heading of document.querySelectorAll("h1, h2, h3")) {
    const box = heading.getBoundingClientRect();
    if (box.width && (heading.scrollWidth > heading.clientWidth + 1 || box.right > screen + 1)) {
      faults.push(`heading is cut: ${heading.textContent.slice(0, 60)}`);
    }
  }
  const small = new Map();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !parent.checkVisibility() || parent.closest("math, script")) continue;
    let size = parseFloat(getComputedStyle(parent).fontSize);
    const svg = parent.closest("svg");
    if (svg?.viewBox?.baseVal?.width) size *= svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    if (size < 10.5) small.set(`${parent.tagName} ${parent.className.baseVal ?? parent.className} ${size.toFixed(1)}`);
  }
  if (small.size) faults.push(`small writing: ${[...small.keys()].slice(0, 5).join(", ")}`);
  for (const image of document.querySelectorAll("main img")) {
    const share = image.getBoundingClientRect().width / image.naturalWidth;
    if (image.checkVisibility() && image.src.includes(".svg") && share < 0.7) {
      faults.push(`picture shrunk to ${share.toFixed(2)}: ${image.alt.slice(0, 60)}`);
    }
  }
  return faults;
}

async function look(page, name, form) {
  await page.goto(pathToFileURL(join(given.html, name)).href);
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const faults = await page.evaluate(measured);
  const picture = join(given.out, form, `${name.replaceAll("/", "--").replace(/\.html$/, "")}.png`);
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  const clip = { x: 0, y: 0, width: page.viewportSize().width, height: Math.min(height, HIGHEST) };
  await page.screenshot({ path: picture, fullPage: true, clip });
  const found = violations.map(({ id, impact, help, nodes }) => {
    const where = nodes.slice(0, 3).map(({ target, html }) => `${target.join(" ")} ${html.slice(0, 120)}`);
    return { id, impact, help, count: nodes.length, where };
  });
  return { name, form, picture, faults, found };
}

const pages = pagesOf(given.html);
const browser = await chromium.launch({
  executablePath: given.browser,
  // Drawings are pictures, which do not hear what a page is told of motion.
  args: [
    "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND", "--force-prefers-reduced-motion",
  ],
});
const all = [];
for (const form of given.forms ? given.forms.split(",") : Object.keys(FORMS)) {
  mkdirSync(join(given.out, form), { recursive: true });
  const context = await browser.newContext({ ...FORMS[form], reducedMotion: "reduce" });
  context.setDefaultTimeout(300_000);
  const page = await context.newPage();
  let errors = [];
  page.on("pageerror", (error) => errors.push(`script: ${error.message}`));
  for (const name of pages) {
    errors = [];
    const seen = await look(page, name, form);
    seen.faults.push(...errors);
    all.push(seen);
    // One that is stopped has told what it saw.
    writeFileSync(join(given.out, "report.json"), JSON.stringify(all, null, 1));
  }
  await context.close();
}
await browser.close();

const serious = all.flatMap(({ name, form, found, faults }) => [
  ...faults.map((fault) => `${form} ${name}: ${fault}`),
  ...found
    .filter(({ impact }) => ["serious", "critical"].includes(impact))
    .map(({ id, count, where }) => `${form} ${name}: ${id}, ${count} times; ${where[0]}`),
]);
console.log(serious.join("\n"));
console.log(`${pages.length} pages, ${all.length} pictures, ${serious.length} faults. Pictures are in ${given.out}.`);
process.exitCode = serious.length ? 1 : 0;
