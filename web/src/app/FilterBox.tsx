import { shorten } from "../api/entities";
import { Icon, IconButton } from "./icons";
import { filter, filterHides, filterText, forgetFilter, saveFilter, savedFilters } from "./session";

/** The filter, what is wrong with it, and up to four that were kept. */
export function FilterBox() {
  const { error } = filter.value;
  const text = filterText.value;
  return (
    <div class="filter">
      <label class="filter-box">
        <Icon name="zoom" />
        <input
          id="filter"
          type="text"
          class="mono"
          spellcheck={false}
          autocomplete="off"
          list="filter-examples"
          aria-label="Filter"
          aria-invalid={error !== null}
          aria-describedby="filter-error"
          placeholder="Filter:  state == preempted && duration > 1ms     (dims; Enter hides)"
          value={text}
          onInput={(event) => {
            filterText.value = event.currentTarget.value;
            filterHides.value = false;
          }}
          onKeyDown={(event) => {
            if (event.key === "Enter" && error === null && text !== "") filterHides.value = true;
            if (event.key === "Escape") {
              if (filterHides.value) filterHides.value = false;
              else if (text !== "") filterText.value = "";
              else event.currentTarget.blur();
            }
          }}
        />
        <datalist id="filter-examples">
          <option value="state == preempted && duration > 1ms" />
          <option value="state == halted && cause == timer" />
          <option value="by matches qemu" />
          <option value="confidence == proved" />
          <option value="cause present && !(cause == idle)" />
        </datalist>
      </label>
      <span id="filter-error" class="filter-error" role="status">
        {error ?? ""}
      </span>
      {text !== "" && (
        <>
          <button
            type="button"
            class="small"
            aria-pressed={filterHides.value}
            title="Dim what does not match, or hide it (Enter)"
            onClick={() => (filterHides.value = !filterHides.value)}
          >
            {filterHides.value ? "Hidden" : "Dimmed"}
          </button>
          <IconButton icon="star" name="Keep this filter" onClick={() => saveFilter(text)} />
          <IconButton
            icon="close"
            name="Clear the filter"
            onClick={() => {
              filterText.value = "";
              filterHides.value = false;
            }}
          />
        </>
      )}
      {savedFilters.value.map((saved) => (
        <span class={`chip ${saved === text ? "on" : ""}`} key={saved}>
          <button
            type="button"
            title={saved}
            onClick={() => {
              filterText.value = saved === text ? "" : saved;
              filterHides.value = false;
            }}
          >
            {shorten(saved, 22)}
          </button>
          <button type="button" class="chip-close" aria-label={`Forget ${saved}`} onClick={() => forgetFilter(saved)}>
            <Icon name="close" />
          </button>
        </span>
      ))}
    </div>
  );
}
