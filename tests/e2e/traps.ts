import type { FreshDatabase } from "../support/shared_postgres.ts";

/** What a trap writes into the server's log when it runs, whatever becomes of the transaction. */
const SPRUNG = /trap sprung: .*/g;

/** Traps are set in the schemas `mal` and `public`. */
const TRAP_SCHEMAS = ["mal", "public"];

/**
 * Makes traps of everything that a name could find instead of what is in `pg_catalog`, by the catalog
 * itself: every binary operator over the same types, and over any type of a system table's columns
 * with itself, where a built-in operator is found by a cast only; every function with its arguments;
 * every base type and every relation by its name. All do what the original does.
 */
export async function setTraps(db: FreshDatabase): Promise<void> {
  await db.sql(
    `set search_path = pg_catalog; create schema mal; create schema probes; ${OPERATORS} ${FUNCTIONS} ${NAMES}`,
  );
}

/** The traps that the server's log says were sprung. */
export function sprungTraps(log: string): string[] {
  return [...new Set(log.match(SPRUNG) ?? [])];
}

/**
 * Gives, for each statement, what it would find in a trap's schema if that came first in the search
 * path: a SQL function is made of it, whose dependencies the server records.
 */
export async function dependsOnTraps(
  db: FreshDatabase,
  statements: readonly string[],
): Promise<string[]> {
  const found: string[] = [];
  for (const statement of statements) {
    const body = statement.replace(/\$\d+/g, "NULL");
    await db.sql(`
      set search_path = mal, public, pg_catalog;
      create function probes.probe() returns void begin atomic ${body}; end`);
    const rows = await db.sql(
      `
      select pg_describe_object(refclassid, refobjid, refobjsubid) as what
        from pg_depend d
        join pg_identify_object(refclassid, refobjid, refobjsubid) o
          on o.schema = any ($1) or o.identity ~ '^(mal|public)\\.'
       where d.classid = 'pg_proc'::regclass and d.objid = 'probes.probe'::regproc`,
      [
        TRAP_SCHEMAS,
      ],
    );
    await db.sql("drop function probes.probe()");
    found.push(...rows.map(({ what }) => `${what} in: ${statement}`));
  }
  return found;
}

const POLYMORPHIC = `'anyarray', 'anynonarray', 'anyelement', 'anyenum', 'anyrange'`;

/** Whether a function in plpgsql may take or give the type. */
const usable = (type: string) =>
  `exists (select from pg_type own where own.oid = ${type}
     and (own.typtype <> 'p' or own.typname in (${POLYMORPHIC})))`;

const OPERATORS = `
do $do$
declare
  op record; place text; name text; trap int := 0;
begin
  for op in
    select o.oprname, format_type(o.oprleft, null) as l, format_type(o.oprright, null) as r,
           format_type(o.oprresult, null) as result, true as is_real
      from pg_operator o
     where o.oprkind = 'b' and o.oprnamespace = 'pg_catalog'::regnamespace
       and ${usable("o.oprleft")} and ${usable("o.oprright")} and ${usable("o.oprresult")}
       and o.oprleft <> 'cstring'::regtype
    union all
    select n.oprname, t.name, t.name,
           case when n.oprname ~ '^[<>=!~]+\\*?$' then 'boolean' else t.name end, false
      from (select distinct oprname from pg_operator where oprkind = 'b') n,
           (select distinct atttypid as oid, format_type(atttypid, null) as name
              from pg_attribute a join pg_type y on y.oid = atttypid and y.typtype = 'b'
             where a.attrelid < 16384) t
     where not exists (select from pg_operator o
                        where o.oprname = n.oprname and o.oprleft = t.oid and o.oprright = t.oid)
  loop
    trap := trap + 1;
    execute format($f$
      create function mal.%I(%s, %s) returns %s language plpgsql as $body$
      begin
        raise log 'trap sprung: %%', %L;
        return %s;
      end $body$ $f$, 'trap_' || trap, op.l, op.r, op.result,
      format('%s of %s and %s', op.oprname, op.l, op.r),
      case when op.is_real then format('$1 operator(pg_catalog.%s) $2', op.oprname) else 'null' end);
    foreach place in array array['mal', 'public'] loop
      execute format('create operator %I.%s (function = mal.%I, leftarg = %s, rightarg = %s)',
        place, op.oprname, 'trap_' || trap, op.l, op.r);
    end loop;
  end loop;
end $do$;`;

const FUNCTIONS = `
do $do$
declare
  f record; place text; call text;
begin
  for f in
    select p.proname, p.proretset, pg_get_function_result(p.oid) as result,
           case when p.provariadic <> 0 then 'variadic text[]'
                else (select string_agg(format_type(a, null), ', ' order by i)
                        from unnest(p.proargtypes) with ordinality as u (a, i)) end as args,
           p.pronargs
      from pg_proc p
     where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f'
       and (p.provariadic <> 0 or not exists (
             select from unnest(p.proargtypes) a where not ${usable("a")}))
       and (${usable("p.prorettype")} or p.prorettype in ('record'::regtype, 'void'::regtype))
       and p.proallargtypes is null
       and not p.proname in ('nextval', 'setval')
  loop
    call := format('pg_catalog.%I(%s)', f.proname, (select string_agg('$' || i, ', ')
      from generate_series(1, f.pronargs) i));
    foreach place in array array['mal', 'public'] loop
      begin
        execute format($f$
          create function %I.%I(%s) returns %s language plpgsql as $body$
          begin
            raise log 'trap sprung: %%', %L;
            %s
          end $body$ $f$, place, f.proname, f.args, f.result, f.proname,
          case when f.proretset or f.result = 'void' then 'return;'
               when f.args = 'variadic text[]' or f.result = 'record' then 'return null;'
               else 'return ' || call || ';' end);
      exception when others then
        -- A signature with polymorphic types in which the result cannot be told.
        if sqlstate not in ('42P13', '42723') then raise; end if;
      end;
    end loop;
  end loop;
end $do$;`;

const NAMES = `
do $do$
declare
  t record;
begin
  for t in
    select typname from pg_type
     where typnamespace = 'pg_catalog'::regnamespace and typtype = 'b' and typelem = 0
  loop
    execute format('create domain mal.%I as pg_catalog.%I', t.typname, t.typname);
  end loop;
  for t in
    select c.relname, string_agg(quote_ident(a.attname), ', ') as columns
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
     where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind in ('r', 'v')
       and c.relname <> 'pg_statistic_ext_data'
       and ${usable("a.atttypid")} and a.atttypid <> 'anyarray'::regtype
     group by c.relname
  loop
    execute format('create view mal.%I as select %s from pg_catalog.%I',
      t.relname, t.columns, t.relname);
  end loop;
end $do$;`;
