//! The types of columns, and values of each that were trouble to somebody.

use super::dice::Dice;
use rand::{RngExt, seq::IndexedRandom};

/// The types that both sides have; what an application's migrations make.
pub const TYPES: &str = "
create extension if not exists hstore schema public;
create extension if not exists citext schema public;
create type public.mood as enum ('sad', 'it''s ok', 'Happy \"now\"');
create domain public.short_text as text check (length(value) < 50);
create domain public.positive as numeric(20,4) check (value > 0);
create type public.place as (street text, number integer, tags text[]);
create function public.stamp() returns trigger language plpgsql as $$
    begin new.updated_at := clock_timestamp(); return new; end $$;
";

/// A type and SQL expressions of its values, which are cast to it. `#` stands
/// for a random number below a million.
type Kind = (&'static str, &'static [&'static str]);

const KINDS: &[Kind] = &[
    ("boolean", &["true", "false"]),
    ("smallint", &["-32768", "32767", "# % 30000"]),
    ("integer", &["#", "-2147483648", "0"]),
    (
        "bigint",
        &["#", "9223372036854775807", "(-9223372036854775808)"],
    ),
    (
        "numeric",
        &[
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "0.000",
            "1e130",
            "-#.00100",
            "1e-100",
        ],
    ),
    ("numeric(14,3)", &["#.5", "'NaN'", "-0.001"]),
    (
        "real",
        &["'NaN'", "'-Infinity'", "'-0'", "3.4e38", "'1e-45'", "#.1"],
    ),
    (
        "double precision",
        &[
            "'NaN'",
            "'-0'",
            "1.7976931348623157e308",
            "'5e-324'",
            "0.1",
            "#.3",
        ],
    ),
    (
        "text",
        &[
            "''",
            "'text #'",
            "E'tab\\tnew\\nline\\r back\\\\slash'",
            "'\\N'",
            "'NULL'",
            "'\\.'",
            "'it''s \"quoted\", {really}'",
            "'żółw 🐢 #'",
            "E'\\x01'",
            LARGE,
            HUGE,
        ],
    ),
    ("character varying(20)", &["'#'", "'  pad  '", "''"]),
    ("character(7)", &["'ab'", "''", "'#'"]),
    ("\"char\"", &["'x'", "''"]),
    (
        "bytea",
        &[
            "''",
            "'\\x00ff5c270a'",
            "decode(md5('#'), 'hex')",
            LARGE_BYTES,
        ],
    ),
    (
        "jsonb",
        &[
            "'null'",
            "'{\"a\": [1, 2.50, \"x\\u00e9\\\\\"], \"b\": null}'",
            "'#'",
            "'\"\"'",
            LARGE_JSON,
        ],
    ),
    (
        "json",
        &["'{\"b\":1,  \"a\" : 2,\"b\":3}'", "'#'", "'null'"],
    ),
    ("uuid", &["md5('#')"]),
    (
        "date",
        &[
            "'infinity'",
            "'-infinity'",
            "'0044-03-15 BC'",
            "date '2000-01-01' + #",
        ],
    ),
    ("time without time zone", &["'24:00'", "'12:34:56.789012'"]),
    (
        "time with time zone",
        &["'12:34:56.789+05:45'", "'00:00-15:59'"],
    ),
    (
        "timestamp without time zone",
        &[
            "'infinity'",
            "'4713-01-01 BC'",
            "'2024-02-29 12:00:00.000001'",
        ],
    ),
    (
        "timestamp with time zone",
        &[
            "'infinity'",
            "'-infinity'",
            "'2024-10-27 01:30:00+02'",
            "'0001-01-01 00:00:00 BC'",
            "to_timestamp(#)",
        ],
    ),
    (
        "interval",
        &[
            "'-1 year 2 mons -3 days +04:05:06.000007'",
            "'0'",
            "make_interval(months => #)",
            "'1 mon -30 days'",
        ],
    ),
    (
        "inet",
        &[
            "'192.168.0.1/24'",
            "'::ffff:1.2.3.4'",
            "inet '10.0.0.0' + #",
        ],
    ),
    ("cidr", &["'10.0.0.0/8'", "'2001:db8::/32'"]),
    ("macaddr", &["'08:00:2b:01:02:03'"]),
    ("int4range", &["'empty'", "'[1,10)'", "'(,#]'"]),
    ("numrange", &["'[0.10,2.500]'", "'[-Infinity,)'", "'empty'"]),
    ("tstzrange", &["'[2020-01-01,infinity]'", "'(,)'"]),
    ("int4multirange", &["'{[1,2],[5,9)}'", "'{}'"]),
    (
        "text[]",
        &[
            "'{}'",
            "array[null, 'NULL', 'a,b', 'c\"d', '{', E'\\\\', '', '#']",
            "array[['a','b'],['c',null]]",
        ],
    ),
    (
        "character varying(20)[]",
        &["'{}'", "array['#', null, 'a,b', '']", "null"],
    ),
    (
        "integer[]",
        &["'[0:2]={1,NULL,3}'", "array[#, null]", "null"],
    ),
    (
        "jsonb[]",
        &["array['{\"a\": \"b,c\"}', 'null', null]::jsonb[]"],
    ),
    (
        "timestamp with time zone[]",
        &["array['infinity', null, to_timestamp(#)]"],
    ),
    ("public.mood", &["'sad'", "'it''s ok'", "'Happy \"now\"'"]),
    (
        "public.mood[]",
        &["'{}'", "array['it''s ok', null, 'Happy \"now\"']"],
    ),
    ("public.short_text", &["'#'", "''"]),
    ("public.positive", &["#.1234", "0.0001 + #", "'NaN'"]),
    (
        "public.place",
        &[
            "row('a \"b\", (c)', #, array['x', null])",
            "row(null, null, null)",
        ],
    ),
    (
        "public.place[]",
        &["array[row('s', #, null)::public.place, null]"],
    ),
    (
        "tsvector",
        &[
            "'a:1A fat:2,4 cat'",
            "to_tsvector('english', 'words and # more')",
            "''",
        ],
    ),
    ("tsquery", &["'fat & (rat | !cat:B*)'"]),
    (
        "public.hstore",
        &[
            "''",
            "'a=>1, b=>NULL, \"q\\\"r\"=>\"=>\", n=>#'",
            "hstore('k', null)",
        ],
    ),
    ("public.citext", &["'MiXeD #'", "''"]),
    ("bit(5)", &["B'10110'"]),
    ("bit varying", &["B''", "B'1'", "B'0101'"]),
    ("point", &["'(1.5,-2)'", "'(1e300,NaN)'"]),
    ("polygon", &["'((0,0),(1,1),(#,0))'"]),
    ("pg_lsn", &["'16/B374D848'"]),
    ("jsonpath", &["'$.\"a\"[*] ? (@ > 1)'"]),
    ("xml", &["'<a b=\"c\">#</a>'"]),
];

/// Out of line, and not compressed to nothing.
const LARGE: &str = "(select string_agg(md5((# + n)::text), '') from generate_series(1, 300) n)";
const HUGE: &str = "(select string_agg(md5((# + n)::text), '') from generate_series(1, 2000) n)";
const LARGE_BYTES: &str =
    "(select string_agg(decode(md5((# + n)::text), 'hex'), '') from generate_series(1, 300) n)";
const LARGE_JSON: &str =
    "(select jsonb_object_agg(n, md5((# + n)::text)) from generate_series(1, 200) n)";

/// A column that holds values of one kind.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    kind: Kind,
    pub(super) not_null: bool,
}

impl Column {
    pub(super) fn draw(dice: &mut Dice, name: String) -> Self {
        Self {
            name,
            kind: *KINDS.choose(dice).expect("there are kinds"),
            not_null: dice.random_bool(0.2),
        }
    }

    pub(super) fn type_name(&self) -> &'static str {
        self.kind.0
    }

    /// An expression of a value.
    pub(super) fn value(&self, dice: &mut Dice) -> String {
        if !self.not_null && dice.random_bool(0.15) {
            return "null".to_owned();
        }
        let template = self.kind.1.choose(dice).expect("each kind has values");
        // A NULL among the values is not for a column that has none.
        let template = match *template {
            "null" if self.not_null => "'{}'",
            template => template,
        };
        let number = dice.random_range(0..1_000_000_u32).to_string();
        format!("({})::{}", template.replace('#', &number), self.kind.0)
    }
}
