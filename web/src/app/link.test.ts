import { describe, expect, it } from "vitest";
import { bookmarksFromText, bookmarksToText } from "./bookmarks";
import {
  closePanel,
  layoutFromText,
  layoutToText,
  movePanel,
  newColumn,
  newPanel,
  openView,
  panelsOf,
  type Layout,
} from "./layout";
import { linkFromHash, linkToHash, type LinkState } from "./link";

const FULL: LinkState = {
  source: "my trace & <b>more</b>",
  range: { begin: 1_795_381_360_396_387_133n, end: 1_795_381_393_298_451_151n },
  selection: { begin: 5n, end: 7n },
  row: "vm:139@1795381360396387133/vcpu:1",
  views: "vms;processes,vm=a%2Cb|budgets",
  filter: 'state == preempted && name contains "a, b"',
  hide: true,
  muted: ["state:halted", "cause:a,b"],
  pins: ["thread:15@1", "x,y"],
  hidden: ["cpu:0"],
  theme: "dark",
  palette: "classic",
  time: "seconds",
  arrows: true,
};

describe("link", () => {
  it("restores everything", () => {
    expect(linkFromHash("#" + linkToHash(FULL))).toEqual(FULL);
  });

  it("leaves out what is as usual", () => {
    const usual = {
      ...FULL,
      selection: null,
      row: "",
      filter: "",
      hide: false,
      muted: [],
      pins: [],
      hidden: [],
      theme: "",
      palette: "",
      time: "",
      arrows: false,
    };
    expect(linkFromHash(linkToHash(usual))).toEqual(usual);
    expect(linkToHash(usual)).not.toContain("theme");
  });

  it("reads any text without failing", () => {
    for (const noise of ["", "#", "visStart=x&visEnd=3", "sel=9..1", "pins=%E0%A4%A", "muted=,,", "#=&=&"]) {
      const link = linkFromHash(noise);
      expect(link.range).toBeNull();
      expect(link.selection).toBeNull();
    }
  });
});

function shape(layout: Layout): string[][] {
  return layout.map((column) => column.panels.map((panel) => panel.view));
}

describe("layout", () => {
  it("round-trips as text, with weights and options", () => {
    const layout: Layout = [
      newColumn([newPanel("vms"), newPanel("processes", { vm: "vm:1/L2:a,b;c|d=e*f" }, 2)], 1.6),
      newColumn([newPanel("matrix", { of: "threads" })], 1),
    ];
    const read = layoutFromText(layoutToText(layout));
    expect(read === null ? [] : shape(read)).toEqual([["vms", "processes"], ["matrix"]]);
    expect(read?.[0]?.weight).toBeCloseTo(1.6);
    expect(read?.[0]?.panels[1]?.weight).toBeCloseTo(2);
    expect(read?.[0]?.panels[1]?.options).toEqual({ vm: "vm:1/L2:a,b;c|d=e*f" });
    expect(layoutFromText("nothing;here|")).toBeNull();
  });

  it("puts timelines below one another and tables beside them", () => {
    let layout: Layout = [newColumn([newPanel("vms")], 1)];
    layout = openView(layout, newPanel("processes"));
    layout = openView(layout, newPanel("waits"));
    layout = openView(layout, newPanel("matrix"));
    expect(shape(layout)).toEqual([
      ["vms", "processes"],
      ["waits", "matrix"],
    ]);
  });

  it("moves panels, and makes and removes columns", () => {
    let layout: Layout = [newColumn([newPanel("vms"), newPanel("waits")], 1)];
    const waits = layout[0]?.panels[1]?.id ?? 0;
    layout = movePanel(layout, waits, "right");
    expect(shape(layout)).toEqual([["vms"], ["waits"]]);
    expect(movePanel(layout, waits, "right")).toBe(layout);
    layout = movePanel(layout, waits, "left");
    layout = movePanel(layout, waits, "up");
    expect(shape(layout)).toEqual([["waits", "vms"]]);
    for (const panel of panelsOf(layout)) layout = closePanel(layout, panel.id);
    expect(shape(layout)).toEqual([["overview"]]);
  });
});

describe("bookmarks", () => {
  it("keeps times exact and notes as they are", () => {
    const marks = [
      {
        id: "1",
        begin: 1_795_381_360_396_387_133n,
        end: 1_795_381_360_396_387_134n,
        note: "<img src=x>\u0000",
        row: "cpu:0",
      },
    ];
    expect(bookmarksFromText(bookmarksToText(marks))).toEqual(marks);
  });

  it("ignores what is none", () => {
    for (const noise of [null, "", "{", "3", '[1, null, {"begin": "x"}]']) expect(bookmarksFromText(noise)).toEqual([]);
  });
});
