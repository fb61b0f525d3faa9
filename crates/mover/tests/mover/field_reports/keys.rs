//! Primary keys of every type that can be one, and long ones.

use crate::life::Life;
use anyhow::{Context, Result, ensure};
use protocol::Side;
use std::{fmt::Write as _, time::Duration};
use testbed::deadline;

/// The definitions that some types need, on either side.
const DEFINITIONS: &str = "
    create extension citext; create extension ltree; create extension hstore;
    create type public.mood as enum ('sad', 'ok', 'very happy', 'a,b', '\"');
    create type public.place as (x integer, y text);
    create domain public.mail as citext check (value <> '');
";

/// In each line a name, a type, and five values of it, none equal to another.
const CASES: &str = r#"
n       | numeric                 | 'NaN' | '1.10' | '-0.000' | '1e-20' | '99999999999999999999.5'
f       | double precision        | 'NaN' | '-Infinity' | '0.1' | '4.9e-324' | '1.7976931348623157e308'
padded  | character(5)            | 'ab' | '' | 'ZZZZZ' | 'é' | 'a b'
short   | character varying(9)    | '' | ' ' | 'NULL' | '\N' | 'ÄÖÜß'
words   | text                    | '' | E'a\tb\n\\' | repeat('k', 900) | '"{}"' | 'zz'
sorted  | text collate "en-x-icu" | 'a' | 'B' | '_x' | '-y' | 'Zz'
ci      | public.citext           | 'Anna' | '' | 'bob' | 'ÄRGER' | 'zoe'
mails   | public.mail             | 'A@b.c' | 'x' | 'y' | 'z' | 'Q@q'
tree    | public.ltree            | 'top' | 'top.a' | '' | 'x.y_z' | 'b'
pairs   | public.hstore           | 'a=>1' | '' | '"b c"=>NULL' | 'z=>"q\"x"' | 'k=>v'
raw     | bytea                   | '\x' | '\x00' | '\xff5c27' | '\x5c' | decode(repeat('ab', 700), 'hex')
u       | uuid                    | '00000000-0000-0000-0000-000000000000' | md5('1')::uuid | md5('2')::uuid | md5('3')::uuid | md5('4')::uuid
d       | date                    | 'infinity' | '-infinity' | '4713-01-01 BC' | '0001-01-01' | '5874897-12-31'
at      | timestamptz             | 'infinity' | '-infinity' | '4713-01-01 00:00:00 BC' | '2026-10-25 02:30:00.123456+02' | '294276-12-31 23:59:59.999999'
span    | interval                | '1 day' | '-1 mon' | '178000000 years' | '00:00:00.000001' | '-00:00:01'
net     | inet                    | '10.0.0.0/8' | '::1' | '10.0.0.0' | 'fe80::/10' | '0.0.0.0/0'
within  | int4range               | 'empty' | '[1,5)' | '(,3]' | '(,)' | '[7,)'
many    | integer[]               | '{}' | '{1,NULL,2}' | '{{1},{2}}' | '[0:1]={1,2}' | '{NULL}'
texts   | text[]                  | '{}' | array['a,b', '{x}', null] | array['NULL'] | array[''] | array[E'\\', '"']
moods   | public.mood             | 'sad' | 'ok' | 'very happy' | 'a,b' | '"'
places  | public.place            | '(1,"a,""b")'::public.place | '(2,"")'::public.place | '(3,"\\")'::public.place | '(4,"(x)")'::public.place | '(5," ")'::public.place
j       | jsonb                   | 'null' | '{"b": 1, "a": [1, 2.50]}' | '"x\\n"' | '1.0' | '[]'
mask    | bit(4)                  | B'0000' | B'1111' | B'1010' | B'0001' | B'1000'
letters | "char"                  | 'a' | 'Z' | '' | '1' | '~'
mac     | macaddr                 | '08:00:2b:01:02:03' | '00:00:00:00:00:00' | 'ff:ff:ff:ff:ff:ff' | '01:02:03:04:05:06' | '0a:0b:0c:0d:0e:0f'
"#;

/// A table of a key of one type, and values for it.
struct Case {
    name: &'static str,
    of: &'static str,
    values: [&'static str; 5],
}

impl Case {
    fn all() -> Result<Vec<Self>> {
        let lines = CASES.lines().filter(|line| !line.is_empty());
        lines.map(|line| Self::parse(line).context(line)).collect()
    }

    fn parse(line: &'static str) -> Option<Self> {
        let mut cells = line.split(" | ").map(str::trim);
        let (name, of) = (cells.next()?, cells.next()?);
        let values: Vec<&str> = cells.collect();
        Some(Self {
            name,
            of,
            values: values.try_into().ok()?,
        })
    }

    fn table(&self, schema: &str) -> String {
        let Self { name, of, .. } = self;
        format!("create table {schema}.{name} (v text, k {of} primary key, more text);\n")
    }
}

const COMPOSITE: &str = "
    create table SCHEMA.both_parts (a public.ltree, b bigint, c public.citext, v text, primary key (a, b, c));
";

/// Every row of every table, as text.
fn all_rows(cases: &[Case], schema: &str) -> String {
    let mut query = format!(
        "select 'both_parts' as t, a::text || b || c as k, v, null as more from {schema}.both_parts"
    );
    for Case { name, .. } in cases {
        // Writing to a string cannot fail.
        let _ = write!(
            query,
            " union all select '{name}', k::text, v, more from {schema}.{name}"
        );
    }
    format!("select * from ({query}) q order by t, k collate \"C\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn keys() -> Result<()> {
    let mut monolith = format!(
        "{DEFINITIONS} {}
         insert into both_parts select ('top.n' || n % 7)::ltree, n, 'Key' || n, 'v' from generate_series(1, 10500) n;
         create table toasted (k text primary key, n integer, v text);
         alter table toasted alter k set storage external;
         insert into toasted select n || repeat(md5(n::text), 75), n, 'v' from generate_series(1, 5) n;
         create table only_key (k bigint primary key);
         insert into only_key values (1), (2), (3);
         create table numbers (k numeric primary key, v text);
         insert into numbers select n / 10.0, 'v' from generate_series(1, 10100) n;
         insert into numbers values ('NaN', 'v'), ('Infinity', 'v'), ('-Infinity', 'v');",
        COMPOSITE.replace("SCHEMA", "public")
    );
    let mut service = format!(
        "{DEFINITIONS} create schema svc; {}
         create table svc.toasted (n integer, k text primary key, v text);
         create table svc.only_key (k bigint primary key);
         create table svc.numbers (k numeric primary key, v text);",
        COMPOSITE.replace("SCHEMA", "svc")
    );
    let mut names = vec![
        "public.both_parts: {}".to_owned(),
        "public.toasted: {}".to_owned(),
        "public.only_key: {}".to_owned(),
        "public.numbers: {}".to_owned(),
    ];
    let cases = Case::all()?;
    for case in &cases {
        monolith.push_str(&case.table("public"));
        service.push_str(&case.table("svc"));
        names.push(format!("public.{}: {{}}", case.name));
        for value in &case.values[..3] {
            let name = case.name;
            let _ = writeln!(
                monolith,
                "insert into {name} (k, v) values ({value}, 'copied');"
            );
        }
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut life = Life::begin("field_keys", &monolith, &service, &names).await?;
    agree(&life, &cases, Side::Monolith)
        .await
        .context("copied")?;
    each_type_is_found_by_its_key(&life, &cases).await?;
    an_extension_s_index_serves(&life).await?;
    a_long_key_that_did_not_change(&life).await?;
    a_table_of_nothing_but_its_key(&life).await?;
    numbers_that_are_none_end_no_range(&life).await?;
    agree(&life, &cases, Side::Monolith)
        .await
        .context("followed")?;
    the_same_on_the_way_back(&mut life, &cases).await
}

async fn agree(life: &Life, cases: &[Case], owner: Side) -> Result<u64> {
    let (ours, theirs) = (all_rows(cases, "public"), all_rows(cases, "svc"));
    life.same(owner, &ours, &theirs).await?;
    life.verified(owner).await
}

/// Insert, update, another key, delete: each row is the one that is meant.
async fn each_type_is_found_by_its_key(life: &Life, cases: &[Case]) -> Result<()> {
    for Case { name, values, .. } in cases {
        let [first, second, third, fourth, fifth] = values;
        let changes = format!(
            "insert into {name} (k, v) values ({fourth}, 'followed'); \
             update {name} set v = 'updated' where k = {first}; \
             update {name} set k = {fifth}, more = 'another key' where k = {second}; \
             delete from {name} where k = {third}; \
             insert into {name} (k, v) values ({third}, 'again')"
        );
        life.app(Side::Monolith)
            .batch_execute(&changes)
            .await
            .context(*name)?;
    }
    let (ours, theirs) = (all_rows(cases, "public"), all_rows(cases, "svc"));
    life.same(Side::Monolith, &ours, &theirs).await
}

/// Not the whole index for each change: the statistics of the target say so.
async fn an_extension_s_index_serves(life: &Life) -> Result<()> {
    let counted = async || -> Result<(i64, i64)> {
        let row = life
            .app(Side::Service)
            .query_one(
                "select s.n_tup_upd, i.idx_tup_read from pg_stat_user_tables s \
                 join pg_stat_user_indexes i using (relid) where s.relid = 'svc.both_parts'::regclass",
                &[],
            )
            .await?;
        Ok((row.get(0), row.get(1)))
    };
    let before = counted().await?;
    life.app(Side::Monolith)
        .batch_execute("update both_parts set v = 'updated' where b % 500 = 0")
        .await?;
    life.caught_up(Side::Monolith).await?;
    // A session that ends says what it has counted; the next one goes on.
    let end = "select pg_terminate_backend(pid) from pg_stat_activity \
        where datname = current_database() and application_name = 'banyan'";
    let superuser = life.pair.superuser(Side::Service).await?;
    superuser.batch_execute(end).await?;
    let limit = Duration::from_mins(1);
    let after = deadline::until("the target's statistics", limit, async || {
        let now = counted().await?;
        Ok((now.0 >= before.0 + 20).then_some(now))
    })
    .await?;
    let read = after.1 - before.1;
    ensure!(read < 2_000, "20 updates read {read} entries of the index");
    Ok(())
}

/// Stored out of line and unchanged, it is neither in the new row nor is there
/// an old one, but for versions that send it.
async fn a_long_key_that_did_not_change(life: &Life) -> Result<()> {
    life.app(Side::Monolith)
        .batch_execute(
            "update toasted set v = 'updated' where n < 3; delete from toasted where n = 3; \
             update toasted set k = 'short' where n = 4; update toasted set v = 'last' where n = 5",
        )
        .await?;
    let rows = |schema| format!("select n, md5(k), v from {schema}.toasted order by n");
    life.same(Side::Monolith, &rows("public"), &rows("svc"))
        .await
}

async fn a_table_of_nothing_but_its_key(life: &Life) -> Result<()> {
    life.app(Side::Monolith)
        .batch_execute(
            "update only_key set k = k; update only_key set k = k + 100; \
             insert into only_key values (7); delete from only_key where k = 102",
        )
        .await?;
    let rows = |schema| format!("select k from {schema}.only_key order by k");
    life.same(Side::Monolith, &rows("public"), &rows("svc"))
        .await
}

/// More rows than one range of the proof: NaN is past all others.
async fn numbers_that_are_none_end_no_range(life: &Life) -> Result<()> {
    life.app(Side::Monolith)
        .batch_execute(
            "update numbers set v = 'updated' where k in ('NaN', 'Infinity', '-Infinity', 1010); \
             delete from numbers where k = '-Infinity'",
        )
        .await?;
    let rows = |schema| {
        format!("select count(*), md5(string_agg(k || v, ',' order by k)) from {schema}.numbers")
    };
    life.same(Side::Monolith, &rows("public"), &rows("svc"))
        .await
}

async fn the_same_on_the_way_back(life: &mut Life, cases: &[Case]) -> Result<()> {
    life.hand_over(Side::Monolith).await?;
    for Case { name, values, .. } in cases {
        let [first, second, ..] = values;
        let changes = format!(
            "update svc.{name} set v = 'at the service' where k = {first}; \
             delete from svc.{name} where k = {first}; \
             insert into svc.{name} (k, v) values ({second}, 'of the service')"
        );
        life.app(Side::Service)
            .batch_execute(&changes)
            .await
            .context(*name)?;
    }
    agree(life, cases, Side::Service).await?;
    life.hand_over(Side::Service).await
}
