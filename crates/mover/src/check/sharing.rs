//! Whether both sides really work on one database, as a plan says that shares
//! their data.

use super::{
    error_finding,
    pooler::{Directness, probe},
};
use crate::{database::session::Session, error::MoverError};
use plan::{DatabaseUrl, ExtractionName};
use protocol::{
    Side,
    finding::{Finding, FindingId as Id},
};

/// Which database it is, whatever it is called on the way there: the running
/// server (a clone has the same identifier, but not the same start), and the
/// database in it.
const IDENTITY: &str = "select concat_ws('/', \
    (select system_identifier from pg_control_system()), \
    extract(epoch from pg_postmaster_start_time()), \
    (select oid from pg_database where datname = current_database()))";

/// What speaks against sharing the data of an extraction, given the databases
/// that the plan names. Changes nothing. An error while reading is a
/// finding, not an error.
pub async fn of_databases(
    extraction: &ExtractionName,
    monolith: Option<&DatabaseUrl>,
    service: Option<&DatabaseUrl>,
) -> Vec<Finding> {
    let object = format!("extraction `{extraction}`");
    let (Some(monolith), Some(service)) = (monolith, service) else {
        return vec![Finding::warn(
            Id::SharingUnproven,
            object,
            "both sides share its data, but whether they work on one database is not checked",
            "See to it that both connect to the same one, or give both a `database:` in the plan",
        )];
    };
    let (one, other) = tokio::join!(
        Box::pin(identity(Side::Monolith, monolith)),
        Box::pin(identity(Side::Service, service))
    );
    match (one, other) {
        (Ok(one), Ok(other)) if one == other => Vec::new(),
        (Ok(_), Ok(_)) => vec![Finding::refuse(
            Id::SharingTwoDatabases,
            object,
            format!("both sides share its data, but {monolith} and {service} are two databases"),
            "Let both work on the same one; or, if the service has one of its own, write \
             `mode: replicate`",
        )],
        (one, other) => [one.err(), other.err()].into_iter().flatten().collect(),
    }
}

async fn identity(side: Side, database: &DatabaseUrl) -> Result<String, Finding> {
    if let Directness::Pooled(evidence) = probe(database).await {
        return Err(Finding::warn(
            Id::Pooler,
            format!("the {side}'s database {database}"),
            format!("a connection pooler answers there ({evidence}), so nothing was asked"),
            "Put the database server's own address into the plan to have it checked",
        ));
    }
    let asked = async {
        let session = Session::open(side, database).await?;
        let row = session.query_one(IDENTITY, &[]).await;
        let row = row.map_err(MoverError::sql(side, "asking which database it is"))?;
        Ok::<String, MoverError>(row.get(0))
    };
    asked
        .await
        .map_err(|error| error_finding::of_error(side, database, &error))
}
