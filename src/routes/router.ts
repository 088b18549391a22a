import { RunError } from "../base/errors.ts";
import type { RecordTarget } from "../base/record_writer.ts";
import type { LogicalMessage, Relation } from "../decode/event.ts";
import { PLUGINS } from "../decode/plugins.ts";
import type { Change, Unread } from "../format/formatter.ts";
import { RelationCache } from "../format/relation_cache.ts";
import type { OutputPlugin, Route } from "../options.ts";
import type { Catalog } from "../postgres/catalog/known_table.ts";
import { type Destination, Destinations, nameTooLong } from "./destinations.ts";
import { isStreamName, routeText } from "./route.ts";

/** Opens a stream by its name or ARN; a promise where that takes time. */
export interface StreamOpener {
  open(stream: string): RecordTarget | Promise<RecordTarget>;
}

/** Says which stream a change goes to. */
export interface ChoosesTarget {
  /** The stream of a change of one table, or of a message; or what must be done before it is asked again. */
  targetOf(change: Change): RecordTarget | Detour;
}

interface Known {
  readonly destination: Destination;
  /** Whether other parents would make it another one. */
  readonly dependsOnParents: boolean;
  target: RecordTarget | undefined;
  /** The last transaction that the catalog had to see, and did. */
  readFor: number | undefined;
}

/** A stream that must be opened before a change can be put into it. */
export interface Unopened {
  readonly kind: "unopened";
  readonly opening: Promise<RecordTarget>;
}

/** What stands in the way of a change's way into its stream. */
export type Detour = Unread | Unopened;

/**
 * Says which stream changes go to: the first route that matches, else the stream that is given beside
 * them. A table matches by its own name or by that of a table above it (partition or inheritance).
 */
export class Router implements ChoosesTarget {
  readonly #destinations: Destinations;
  readonly #tables: RelationCache<Known>;
  /** By prefix: those that are published are few, but whoever may write messages makes them. */
  readonly #messages = new Map<string, Known>();

  constructor(
    routes: readonly Route[],
    otherwise: string,
    private readonly plugin: OutputPlugin,
    private readonly catalog: Catalog,
    private readonly streams: StreamOpener,
  ) {
    const destinations = this.#destinations = new Destinations(routes, otherwise, catalog);
    this.#tables = new RelationCache(catalog, (relation) => ({
      destination: destinations.ofTable(relation),
      dependsOnParents: destinations.dependsOnParents(relation),
      target: undefined,
      readFor: undefined,
    }));
  }

  targetOf(change: Change): RecordTarget | Detour {
    if (change.kind === "message") return this.#targetOfMessage(change.prefix);
    const relation = change.kind === "truncate" ? change.relations[0]! : change.relation;
    const known = this.#tables.get(relation);
    if (known.dependsOnParents && this.#isUnread(relation, known, change)) {
      return { kind: "unread", relation };
    }
    return known.target ?? this.#open(known, relation.qualifiedName);
  }

  #targetOfMessage(prefix: string): RecordTarget | Detour {
    let known = this.#messages.get(prefix);
    if (known === undefined) {
      if (this.#messages.size >= MAX_PREFIXES) this.#messages.clear();
      const destination = this.#destinations.ofMessage(prefix);
      known = { destination, dependsOnParents: false, target: undefined, readFor: undefined };
      this.#messages.set(prefix, known);
    }
    return known.target ?? this.#open(known, `messages of the prefix ${JSON.stringify(prefix)}`);
  }

  /**
   * A table's parents count as they are when the change is published. Only some plugins show all
   * DDL that may concern them.
   */
  #isUnread(
    { qualifiedName }: Relation,
    known: Known,
    change: Exclude<Change, LogicalMessage>,
  ): boolean {
    const { xid } = change.transaction;
    const mustSee = PLUGINS[this.plugin].shownDdl === "all" && "definedBy" in change
      ? change.definedBy
      : xid;
    if (mustSee === 0 || known.readFor === mustSee) return false;
    if (!this.catalog.isRead(qualifiedName, mustSee)) return true;
    known.readFor = mustSee;
    return false;
  }

  #open(known: Known, what: string): RecordTarget | Unopened {
    const { stream, route } = known.destination;
    if (stream === undefined) throw new Error(`${what} passed the filters, but have no stream`);
    if (!isStreamName(stream)) {
      throw new RunError(`cannot publish ${what}: ${nameTooLong(known.destination)}`);
    }
    const opened = this.streams.open(stream);
    if (!(opened instanceof Promise)) return known.target = opened;
    const opening = opened.catch((error) => {
      if (!(error instanceof RunError) || route === undefined) throw error;
      throw new RunError(`${error.message} (${what} goes there by --route ${routeText(route)})`, {
        cause: error,
      });
    });
    return { kind: "unopened", opening };
  }
}

const MAX_PREFIXES = 1_000;
