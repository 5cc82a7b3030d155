// A model card as elements: the parts of Markdown that cards have. Everything else is shown as the text that it is, so
// that no word of a card is lost. No part of a card is parsed as HTML: it may come from elsewhere.

import { el } from "../viewer/elements.js";

const HEADING = /^(#{1,6})\s+(.*)$/;
const ITEM = /^\s{0,3}[-*+]\s+(.*)$/;
const CODE = /^(?: {4}|\t)(.*)$/;
const FENCE = /^\s{0,3}```/;
const RULE = /^\s*\|?(\s*:?-+:?\s*\|)+\s*:?-*:?\s*\|?\s*$/;
const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\((https?:\/\/(?:[^\s()]|\([^\s()]*\))+)\)/;
const PART = /\\\||`[^`]*`|[^]/g; // of a table's row: a bar that is text, code, or any other character
const LOWER = 3; // a card's first heading is the fourth level of the page

/**
 * Make elements of a card.
 *
 * @param {string} text Markdown
 * @returns {HTMLElement[]}
 */
export function rendered(text) {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  const blocks = [];
  while (lines.length) {
    if (lines[0].trim() === "") lines.shift();
    else blocks.push(blockOf(lines));
  }
  return blocks;
}

/** Take the first block from the lines. */
function blockOf(lines) {
  const heading = HEADING.exec(lines[0]);
  if (heading) {
    lines.shift();
    return el(`h${Math.min(6, heading[1].length + LOWER)}`, {}, ...inline(heading[2]));
  }
  if (FENCE.test(lines[0])) return fenced(lines);
  if (CODE.test(lines[0])) return el("pre", { tabIndex: 0 }, take(lines, (line) => CODE.test(line)).map((line) => CODE.exec(line)[1]).join("\n"));
  if (lines.length > 1 && lines[0].includes("|") && RULE.test(lines[1])) return table(take(lines, (line) => line.includes("|")));
  if (ITEM.test(lines[0])) return list(lines);
  const text = take(lines, (line) => line.trim() !== "" && !HEADING.test(line) && !ITEM.test(line) && !FENCE.test(line));
  return el("p", {}, ...inline(text.join("\n")));
}

/** Take the first line, and those after it as long as they go with it. */
function take(lines, goesWith) {
  const taken = [lines.shift()];
  while (lines.length && goesWith(lines[0])) taken.push(lines.shift());
  return taken;
}

function fenced(lines) {
  const [, ...code] = take(lines, (line) => !FENCE.test(line));
  lines.shift();
  return el("pre", { tabIndex: 0 }, code.join("\n"));
}

function list(lines) {
  const items = [];
  while (lines.length && ITEM.test(lines[0])) {
    const [first, ...others] = take(lines, (line) => line.trim() !== "" && !ITEM.test(line) && !HEADING.test(line));
    items.push(el("li", {}, ...inline([ITEM.exec(first)[1], ...others.map((line) => line.trim())].join("\n"))));
  }
  return el("ul", {}, ...items);
}

function table([head, , ...body]) {
  const row = (line, tag) => el("tr", {}, ...cells(line).map((text) => el(tag, {}, ...inline(text))));
  const header = cells(head).some((text) => text !== "") ? [el("thead", {}, row(head, "th"))] : [];
  return el("table", {}, ...header, el("tbody", {}, ...body.map((line) => row(line, "td"))));
}

function cells(line) {
  const parts = [""];
  for (const [part] of line.trim().replace(/^\|/, "").matchAll(PART)) {
    if (part === "|") parts.push("");
    else parts.push(parts.pop() + part.replaceAll("\\|", "|"));
  }
  if (parts.length > 1 && parts.at(-1) === "") parts.pop(); // behind the bar at the end
  return parts.map((cell) => cell.trim());
}

/** A text with code, bold words and links in it. */
function inline(text) {
  const parts = [];
  for (let rest = text; ; ) {
    const found = INLINE.exec(rest);
    if (!found) return [...parts, rest];
    const [whole, code, bold, words, href] = found;
    parts.push(rest.slice(0, found.index));
    if (code) parts.push(el("code", {}, code));
    else if (bold) parts.push(el("strong", {}, bold));
    else parts.push(el("a", { href, rel: "noreferrer" }, words));
    rest = rest.slice(found.index + whole.length);
  }
}
