//! Columns that hold the numbers of large objects.

use crate::{
    catalog::Table,
    database::{session::Session, sql},
    error::MoverError,
};

/// Triggers of the extension `lo` on a column: its name is their argument.
const MANAGED: &str = "select encode(t.tgargs, 'escape') from pg_trigger t \
    join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace \
    join pg_proc p on p.oid = t.tgfoid \
    where n.nspname = $1 and c.relname = $2 and p.proname = 'lo_manage'";

/// How many rows are looked at for numbers of large objects.
const ROWS: u32 = 10_000;

/// The columns of type `oid` or `lo`, with what shows that they hold large
/// objects. Rows are looked at only where `readable`.
pub(super) async fn columns(
    session: &Session,
    table: &Table,
    readable: bool,
) -> Result<Vec<(String, Option<String>)>, MoverError> {
    let wrap = || MoverError::sql(session.side(), "looking for large objects");
    let is_lo = |name: &str| name.rsplit('.').next() == Some("lo");
    let suspects: Vec<_> = table
        .columns
        .iter()
        .filter(|column| column.type_name == "oid" || is_lo(&column.type_name))
        .collect();
    if suspects.is_empty() {
        return Ok(Vec::new());
    }
    let managed: Vec<String> = session
        .query(MANAGED, &[&table.name.schema, &table.name.table])
        .await
        .map_err(wrap())?
        .iter()
        .map(|row| row.get::<_, String>(0).trim_end_matches("\\000").to_owned())
        .collect();
    let mut found = Vec::new();
    for column in suspects {
        let evidence = if is_lo(&column.type_name) {
            Some("its type is lo".to_owned())
        } else if managed.contains(&column.name) {
            Some("a trigger lo_manage looks after it".to_owned())
        } else if readable && table.kind == 'r' {
            let select = format!(
                "select exists (select from (select {} as object from {} limit {ROWS}) t \
                 join pg_largeobject_metadata m on m.oid = t.object)",
                sql::identifier(&column.name),
                sql::table(&table.name)
            );
            let row = session.query_one(&select, &[]).await.map_err(wrap())?;
            row.get::<_, bool>(0)
                .then(|| "its values are numbers of large objects".to_owned())
        } else {
            None
        };
        found.push((column.name.clone(), evidence));
    }
    Ok(found)
}
