import { signal } from "@preact/signals";
import type { Rgb } from "../surface/surface";
import type { Inks } from "./scene";

/** Width of the tree left of the rows, shared so that the time axes of all timelines stand under one another. */
export const treeWidth = signal(260);

function colorOf(style: CSSStyleDeclaration, name: string): Rgb {
  const digits = style.getPropertyValue(name).trim().slice(1);
  // Minifiers shorten #ffffff to #fff.
  return parseInt(digits.length === 3 ? digits.replaceAll(/./g, "$&$&") : digits, 16);
}

/** Reads the drawing's colours from the style sheet's variables. */
export function readInks(element: Element = document.documentElement): Inks {
  const style = getComputedStyle(element);
  return {
    background: colorOf(style, "--canvas"),
    group: colorOf(style, "--canvas-group"),
    grid: colorOf(style, "--canvas-grid"),
    text: colorOf(style, "--text"),
    faint: colorOf(style, "--faint"),
    accent: colorOf(style, "--accent"),
    loss: colorOf(style, "--loss"),
    curve: colorOf(style, "--curve"),
  };
}

/** What is printed is always light. */
export const PAPER: Inks = {
  background: 0xffffff,
  group: 0xf4f5f7,
  grid: 0xdfe2e7,
  text: 0x1b212c,
  faint: 0x566070,
  accent: 0x1763b0,
  loss: 0xc2185b,
  curve: 0x2f6f8f,
};
