import type { VocabularyReply, Word } from "./types";

/** The model's words by code, as the server knows them: a newer server may know more than this page. */
export class Vocabulary {
  private readonly tables: Record<keyof VocabularyReply, string[]>;
  private readonly codes: Record<keyof VocabularyReply, Map<string, number>>;

  constructor(reply: VocabularyReply) {
    const table = (words: Word[]): string[] => {
      const out: string[] = [];
      for (const word of words) out[word.code] = word.name;
      return out;
    };
    const code = (words: Word[]): Map<string, number> => new Map(words.map((word) => [word.name, word.code]));
    const each = <T>(make: (words: Word[]) => T): Record<keyof VocabularyReply, T> => ({
      kinds: make(reply.kinds),
      states: make(reply.states),
      causes: make(reply.causes),
      confidences: make(reply.confidences),
      evidences: make(reply.evidences),
      edges: make(reply.edges),
      counters: make(reply.counters),
    });
    this.tables = each(table);
    this.codes = each(code);
  }

  private word(table: keyof VocabularyReply, code: number): string {
    return this.tables[table][code] ?? `#${code}`;
  }

  kind(code: number): string {
    return this.word("kinds", code);
  }
  state(code: number): string {
    return this.word("states", code);
  }
  cause(code: number): string {
    return this.word("causes", code);
  }
  confidence(code: number): string {
    return this.word("confidences", code);
  }
  evidence(code: number): string {
    return this.word("evidences", code);
  }
  edge(code: number): string {
    return this.word("edges", code);
  }
  counter(code: number): string {
    return this.word("counters", code);
  }
  codeOf(table: keyof VocabularyReply, name: string): number {
    return this.codes[table].get(name) ?? -1;
  }
  edgeKinds(): [number, string][] {
    return [...this.codes.edges].map(([name, code]) => [code, name]);
  }
}
