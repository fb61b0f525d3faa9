//! From the file's types to checked data of an extraction.

use super::{
    ColumnPair, Data, Databases, ForeignColumn, ForeignKeyRule, Replicate, TableMapping,
    TableWrites, WriterPattern,
    file::{DataFile, ForeignKeyRuleFile, ModeFile, TableFile, WritesFile},
};
use crate::{
    base::{
        ColumnName, Environment, ExtractionName, Located, PlanError, Position, ServiceName,
        TableName, parse, parts, plain,
    },
    extraction::{
        read_your_writes::ReadYourWrites,
        switch::{self, SwitchFile},
    },
    upstream::Upstream,
};
use std::collections::{BTreeMap, BTreeSet};

/// What the rest of the plan says that counts for `data:`.
pub(crate) struct DataContext<'a> {
    pub(crate) name: &'a ExtractionName,
    /// Of the extraction.
    pub(crate) at: Position,
    pub(crate) monolith: &'a Upstream,
    /// The service, and where it is named.
    pub(crate) service: (&'a ServiceName, Position, &'a Upstream),
    pub(crate) switch: Option<Located<SwitchFile>>,
    pub(crate) read_your_writes: Option<Located<ReadYourWrites>>,
}

/// The data of an extraction, with what there is only for its mode.
pub(crate) fn data(
    file: DataFile,
    context: DataContext<'_>,
    environment: Environment<'_>,
) -> Result<Data, PlanError> {
    match file.mode.value {
        ModeFile::Shared => shared_data(&file, &context).map(|()| Data::Shared),
        ModeFile::Replicate => {
            let replicate = replicate(file, context, environment)?;
            Ok(Data::Replicate(Box::new(replicate)))
        }
    }
}

/// Refuses what makes sense only where data move.
fn shared_data(file: &DataFile, context: &DataContext<'_>) -> Result<(), PlanError> {
    let tables = "both sides work on the same tables, none moves";
    let hand_over = "nothing is handed over, so nothing is held";
    let tokens = "both sides see every write at once";
    let wrong = [
        ("schema", file.schema.as_ref().map(|it| it.at), tables),
        ("tables", file.tables.as_ref().map(|it| it.at), tables),
        ("writers", file.writers.as_ref().map(|it| it.at), tables),
        (
            "references",
            file.references.as_ref().map(|it| it.at),
            tables,
        ),
        ("switch", context.switch.as_ref().map(|it| it.at), hand_over),
        (
            "read-your-writes",
            context.read_your_writes.as_ref().map(|it| it.at),
            tokens,
        ),
    ];
    for (key, at, why) in wrong {
        if let Some(at) = at {
            let message = format!("`{key}` does not go with `mode: shared`: {why}");
            return Err(PlanError::at(at, message).remedy(
                "Leave it out, or write `mode: replicate` if the service has a database of its own",
            ));
        }
    }
    Ok(())
}

#[expect(clippy::zero_sized_map_values, reason = "see `Replicate`")]
fn replicate(
    file: DataFile,
    context: DataContext<'_>,
    environment: Environment<'_>,
) -> Result<Replicate, PlanError> {
    let databases = databases(&context)?;
    let needs = |key: &str| {
        PlanError::at(
            file.mode.at,
            format!("`mode: replicate` needs `{key}`, and there is none"),
        )
        .remedy("Add it under `data:`, or write `mode: shared` if both sides use the same tables")
    };
    let schema = file.schema.as_ref().ok_or_else(|| needs("schema"))?;
    let listed = file.tables.ok_or_else(|| needs("tables"))?;
    if listed.value.is_empty() {
        let message = format!("extraction `{}` moves no table", context.name);
        return Err(
            PlanError::at(context.at, message).remedy("List at least one under `data.tables:`")
        );
    }
    let schema = plain(schema, environment)?;
    let tables_at = listed.at;
    let mut tables = Vec::new();
    let mut targets = BTreeSet::new();
    for (monolith, located) in listed.value {
        let at = located.at;
        let mapping = table(&monolith, &schema, located, environment)?;
        if !targets.insert(mapping.service.clone()) {
            return Err(
                PlanError::at(at, format!("two tables move to `{}`", mapping.service))
                    .remedy("Give each a table of its own with `to:`"),
            );
        }
        tables.push(mapping);
    }
    if tables.iter().all(|one| one.writes != TableWrites::Owner) {
        let message = format!(
            "extraction `{}` has no table that its owner alone writes: a switch would hand over \
             nothing",
            context.name
        );
        return Err(PlanError::at(tables_at, message)
            .remedy("Take `writes:` off the tables that the service is to own"));
    }
    let mut references = BTreeMap::new();
    for (column, located) in file.references.into_iter().flat_map(|all| all.value) {
        let ForeignKeyRuleFile::Restrict = located.value;
        let column = foreign_column(&column).map_err(|why| PlanError::at(located.at, why))?;
        references.insert(column, ForeignKeyRule::Restrict);
    }
    let mut writers = Vec::new();
    if let Some(declared) = file.writers {
        for text in declared.value {
            let pattern = WriterPattern::new(plain(&text, environment)?);
            writers.push(pattern.map_err(|why| PlanError::at(declared.at, why))?);
        }
    }
    Ok(Replicate {
        tables,
        writers,
        references,
        databases,
        switch: switch::resolve(context.switch.map(|file| file.value).unwrap_or_default())?,
        read_your_writes: context.read_your_writes.map(|token| token.value),
    })
}

fn databases(context: &DataContext<'_>) -> Result<Databases, PlanError> {
    let (service, at, target) = context.service;
    let database = |name: &str, of: &Upstream| {
        of.database.clone().ok_or_else(|| {
            PlanError::at(
                at,
                format!("`{name}` has no database, but `{service}` is moved to"),
            )
            .remedy(
                "Add `database:` to it: only what is routed to, or shares its data, can do without",
            )
        })
    };
    Ok(Databases {
        monolith: database("monolith", context.monolith)?,
        service: database(service.as_str(), target)?,
    })
}

fn table(
    monolith: &str,
    schema: &str,
    located: Located<TableFile>,
    environment: Environment<'_>,
) -> Result<TableMapping, PlanError> {
    let Located { value: file, at } = located;
    let monolith = TableName::parse(monolith).map_err(|why| PlanError::at(at, why))?;
    let to = match &file.to {
        Some(name) => plain(name, environment)?,
        None => monolith.table.clone(),
    };
    let service = TableName::new(schema, &to).map_err(|why| PlanError::at(at, why))?;
    let mut renames = Vec::new();
    let mut names = BTreeSet::new();
    for (from, to) in file.columns {
        let pair = ColumnPair {
            monolith: ColumnName::new(&from).map_err(|why| PlanError::at(to.at, why))?,
            service: parse(&to, environment, ColumnName::new)?,
        };
        if !names.insert(pair.service.clone()) {
            return Err(PlanError::at(
                to.at,
                format!("two columns of `{monolith}` map to `{}`", pair.service),
            ));
        }
        renames.push(pair);
    }
    Ok(TableMapping {
        monolith,
        service,
        renames,
        writes: match file.writes {
            WritesFile::Owner => TableWrites::Owner,
            WritesFile::Append => TableWrites::Append,
            WritesFile::Split => TableWrites::Split,
        },
    })
}

fn foreign_column(text: &str) -> Result<ForeignColumn, String> {
    match parts(text).as_deref() {
        Some([schema, table, column]) => Ok(ForeignColumn {
            table: TableName::new(schema, table)?,
            column: ColumnName::new(column)?,
        }),
        _ => Err(format!(
            "`{text}` is no column: write schema.table.column; a name with a dot in it stands in \
             double quotes"
        )),
    }
}
