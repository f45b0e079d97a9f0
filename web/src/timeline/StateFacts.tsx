import type { Doing } from "../api/critical";
import type { Source } from "../api/source";
import { palette } from "../app/session";
import { CAUSE_WORDS, EVIDENCE_WORDS, STATE_WORDS } from "../app/words";
import { stateText } from "./looks";
import { lookOf } from "./palette";
import { Swatch } from "./Swatch";

/** What a state is, as it looks and in words: the head of a tooltip. */
export function StateHead({ source, doing }: { source: Source; doing: Doing }) {
  const { level } = doing;
  const [state, cause] = [source.vocabulary.state(doing.state), source.vocabulary.cause(doing.cause)];
  return (
    <>
      <div class="tooltip-state">
        <Swatch look={lookOf(state, cause, level, palette.value)} />
        <b>{stateText(source, doing.state, doing.cause, level)}</b>
        {level > 0 && <span class="faint">level {level}</span>}
      </div>
      <div class="faint tooltip-words">
        {STATE_WORDS[state] ?? ""} {CAUSE_WORDS[cause] === undefined ? "" : `Cause: ${CAUSE_WORDS[cause]}`}
      </div>
    </>
  );
}

/** How sure it is, and by which rule: the last of a tooltip's facts. */
export function SureFacts({ source, doing }: { source: Source; doing: Doing }) {
  const evidence = source.vocabulary.evidence(doing.evidence);
  return (
    <>
      <dt>confidence</dt>
      <dd>{source.vocabulary.confidence(doing.confidence)}</dd>
      <dt>evidence</dt>
      <dd>
        {evidence === "" ? "none" : evidence}{" "}
        {EVIDENCE_WORDS[evidence] !== undefined && <span class="faint">({EVIDENCE_WORDS[evidence]})</span>}
      </dd>
    </>
  );
}
