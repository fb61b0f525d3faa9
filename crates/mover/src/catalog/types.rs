//! Reads the definitions of types, with all that they are made of.

use super::{
    collation::{Collation, described},
    definition::{Domain, Field, Range, Shape, TypeDefinition},
    text::unqualified,
};
use crate::error::MoverError;
use protocol::Side;
use std::{collections::HashMap, sync::LazyLock};
use tokio_postgres::GenericClient;

/// Types within types deeper than this are not looked at; such a type fits
/// only one of the same name.
const DEPTH_MAX: i32 = 16;

/// Types below this are PostgreSQL's own.
const FIRST_OWN: u32 = 16_384;

/// Those types of `$1`, and all that they are made of, that are not built in.
static TYPES: LazyLock<String> = LazyLock::new(|| {
    format!(
        "with recursive reached(oid, depth) as ( \
        select distinct unnest($1::oid[]), 0 \
        union \
        select part.oid, depth + 1 from reached r join pg_type t on t.oid = r.oid \
        cross join lateral ( \
            select t.typelem where t.typsubscript = 'array_subscript_handler'::regproc \
            union all select t.typbasetype where t.typtype = 'd' \
            union all select a.atttypid from pg_attribute a where t.typtype = 'c' \
                and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped \
            union all select g.rngsubtype from pg_range g where g.rngtypid = t.oid \
            union all select g.rngtypid from pg_range g where g.rngmultitypid = t.oid \
        ) part(oid) where r.depth < $2 and t.oid >= $3 \
    ) \
    select t.oid, format_type(t.oid, null), quote_ident(n.nspname), t.typtype::text, \
        (select e.extname::text from pg_depend d join pg_extension e on e.oid = d.refobjid \
            where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e' \
              and d.refclassid = 'pg_extension'::regclass), \
        case when t.typsubscript = 'array_subscript_handler'::regproc then t.typelem else 0::oid end, \
        t.typbasetype, coalesce(format_type(t.typbasetype, t.typtypmod), ''), t.typnotnull, \
        {of_type}, \
        array(select pg_get_constraintdef(k.oid) from pg_constraint k \
            where k.contypid = t.oid and k.contype = 'c' order by 1), \
        array(select e.enumlabel::text from pg_enum e where e.enumtypid = t.oid \
            order by e.enumsortorder), \
        array(select a.attname::text from pg_attribute a where a.attrelid = t.typrelid \
            and t.typtype = 'c' and a.attnum > 0 and not a.attisdropped order by a.attnum), \
        array(select a.atttypid from pg_attribute a where a.attrelid = t.typrelid \
            and t.typtype = 'c' and a.attnum > 0 and not a.attisdropped order by a.attnum), \
        array(select format_type(a.atttypid, a.atttypmod) from pg_attribute a \
            where a.attrelid = t.typrelid and t.typtype = 'c' and a.attnum > 0 \
              and not a.attisdropped order by a.attnum), \
        coalesce((select g.rngsubtype from pg_range g where g.rngtypid = t.oid), 0::oid), \
        coalesce((select format_type(g.rngsubtype, null) from pg_range g where g.rngtypid = t.oid), ''), \
        coalesce((select concat(o.opcname, case when o.oid >= {FIRST_OWN} then concat(' (', \
                (select string_agg(p.proname, ', ' order by s.amprocnum) from pg_amproc s \
                    join pg_proc p on p.oid = s.amproc where s.amprocfamily = o.opcfamily \
                    and s.amproclefttype = o.opcintype and s.amprocrighttype = o.opcintype), ')') end) \
            from pg_range g join pg_opclass o on o.oid = g.rngsubopc where g.rngtypid = t.oid), ''), \
        coalesce((select g.rngtypid from pg_range g where g.rngmultitypid = t.oid), 0::oid), \
        array(select {of_field} from pg_attribute a where a.attrelid = t.typrelid \
            and t.typtype = 'c' and a.attnum > 0 and not a.attisdropped order by a.attnum), \
        coalesce((select {of_range} from pg_range g where g.rngtypid = t.oid), ''), \
        coalesce((select p.proname::text from pg_range g join pg_proc p on p.oid = g.rngcanonical \
            where g.rngtypid = t.oid), '') \
    from (select distinct oid from reached) r join pg_type t on t.oid = r.oid \
    join pg_namespace n on n.oid = t.typnamespace where t.oid >= $3",
        of_type = described("t.typcollation"),
        of_field = described("a.attcollation"),
        of_range = described("g.rngcollation"),
    )
});

/// The own types that a table's columns are made of.
#[derive(Debug, Default)]
pub(super) struct Types {
    known: HashMap<u32, Facts>,
}

/// What the catalogue says of one type; other types are numbers.
#[derive(Debug)]
struct Facts {
    name: String,
    /// Its schema, as it stands in front of its name.
    schema: String,
    kind: String,
    extension: Option<String>,
    element: u32,
    base: u32,
    base_name: String,
    not_null: bool,
    collation: Collation,
    checks: Vec<String>,
    labels: Vec<String>,
    fields: Vec<String>,
    field_types: Vec<u32>,
    field_names: Vec<String>,
    field_collations: Vec<String>,
    subtype: u32,
    subtype_name: String,
    order: String,
    bounds: Collation,
    canonical: String,
    range: u32,
}

impl Types {
    /// Reads these types, and what they are made of.
    pub(super) async fn read(
        client: &impl GenericClient,
        side: Side,
        types: &[u32],
    ) -> Result<Self, MoverError> {
        let own: Vec<u32> = types
            .iter()
            .copied()
            .filter(|oid| *oid >= FIRST_OWN)
            .collect();
        if own.is_empty() {
            return Ok(Self::default());
        }
        let rows = client
            .query(&*TYPES, &[&own, &DEPTH_MAX, &FIRST_OWN])
            .await
            .map_err(MoverError::sql(side, "reading the columns' types"))?;
        let facts = |row: &tokio_postgres::Row| Facts {
            name: row.get(1),
            schema: row.get(2),
            kind: row.get(3),
            extension: row.get(4),
            element: row.get(5),
            base: row.get(6),
            base_name: row.get(7),
            not_null: row.get(8),
            collation: Collation::parse(row.get(9)),
            checks: row.get(10),
            labels: row.get(11),
            fields: row.get(12),
            field_types: row.get(13),
            field_names: row.get(14),
            subtype: row.get(15),
            subtype_name: row.get(16),
            order: row.get(17),
            range: row.get(18),
            field_collations: row.get(19),
            bounds: Collation::parse(row.get(20)),
            canonical: row.get(21),
        };
        Ok(Self {
            known: rows.iter().map(|row| (row.get(0), facts(row))).collect(),
        })
    }

    /// The definition of a type, which SQL calls `name` with its modifier.
    pub(super) fn define(&self, oid: u32, name: &str) -> TypeDefinition {
        self.within(oid, name, 0)
    }

    fn within(&self, oid: u32, name: &str, depth: i32) -> TypeDefinition {
        let shape = if oid < FIRST_OWN {
            Shape::BuiltIn
        } else if depth >= DEPTH_MAX {
            Shape::TooDeep
        } else {
            let facts = self.known.get(&oid);
            facts.map_or(Shape::TooDeep, |facts| self.shape(facts, name, depth + 1))
        };
        TypeDefinition {
            name: name.to_owned(),
            shape,
        }
    }

    fn shape(&self, facts: &Facts, name: &str, depth: i32) -> Shape {
        let named = |oid: u32| {
            let name = self.known.get(&oid).map_or("", |facts| &facts.name);
            self.within(oid, name, depth)
        };
        let own = || {
            let schema = format!("{}.", facts.schema);
            name.strip_prefix(&schema).unwrap_or(name).to_owned()
        };
        if facts.element != 0 {
            let element = name.strip_suffix("[]").unwrap_or(name);
            return Shape::Array(Box::new(self.within(facts.element, element, depth)));
        }
        match (facts.kind.as_str(), &facts.extension) {
            ("e", _) => Shape::Enum(facts.labels.clone()),
            ("d", _) => Shape::Domain(Box::new(Domain {
                base: self.within(facts.base, &facts.base_name, depth),
                not_null: facts.not_null,
                collation: facts.collation.clone(),
                checks: facts
                    .checks
                    .iter()
                    .map(|check| unqualified(check, &facts.schema))
                    .collect(),
            })),
            ("c", _) => {
                let types = facts.field_types.iter().zip(&facts.field_names);
                let types = types.zip(&facts.field_collations);
                let fields = facts.fields.iter().zip(types);
                Shape::Composite(
                    fields
                        .map(|(name, ((&oid, type_name), collation))| Field {
                            name: name.clone(),
                            definition: self.within(oid, type_name, depth),
                            collation: Collation::parse(collation),
                        })
                        .collect(),
                )
            }
            ("r", _) => Shape::Range(Box::new(Range {
                subtype: self.within(facts.subtype, &facts.subtype_name, depth),
                order: facts.order.clone(),
                collation: facts.bounds.clone(),
                canonical: facts.canonical.clone(),
            })),
            ("m", _) => Shape::Multirange(Box::new(named(facts.range))),
            (_, Some(extension)) => Shape::Extension {
                extension: extension.clone(),
                own: own(),
            },
            (_, None) => Shape::Foreign { own: own() },
        }
    }
}
