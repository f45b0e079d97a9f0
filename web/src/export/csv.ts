/** RFC 4180, with a leading quote where a spreadsheet would take a cell for a formula. */
export function csvLine(cells: readonly (string | number | bigint)[]): string {
  return (
    cells
      .map((cell) => {
        if (typeof cell !== "string") return String(cell);
        const safe = /^[=+@\t\r]|^-(?!\d)/.test(cell) ? `'${cell}` : cell;
        return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
      })
      .join(",") + "\r\n"
  );
}

export function csvText(rows: readonly (readonly (string | number | bigint)[])[]): string {
  return rows.map(csvLine).join("");
}
