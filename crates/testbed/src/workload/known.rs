//! What clients need to know before they can ask for anything.

use super::settings::Settings;
use crate::http_client::{Call, Connection};
use anyhow::{Result, bail};
use serde_json::Value;

/// Contracts that every client knows and changes: they make clients meet.
const SHARED_CONTRACTS: usize = 8;

/// Ids of rows that exist.
#[derive(Debug)]
pub(super) struct KnownRows {
    /// Parties.
    pub parties: Vec<u64>,
    /// Land plots.
    pub plots: Vec<u64>,
    /// Contracts to read.
    pub contracts: Vec<u64>,
    /// Contracts that all clients change.
    pub shared: Vec<u64>,
}

impl KnownRows {
    /// Asks the API, as a client would.
    pub async fn look_around(url: &str, settings: &Settings) -> Result<Self> {
        let mut connection = Connection::new(url)?;
        let mut ids = async |path: &str| -> Result<Vec<u64>> {
            let call = Call::get(format!("{path}?page_size=100"));
            let answer = connection.send(&call, settings.timeout).await?;
            let body = answer.json();
            let rows = body["results"].as_array().map_or(&[][..], Vec::as_slice);
            let ids: Vec<u64> = rows.iter().filter_map(|row| row["id"].as_u64()).collect();
            if ids.is_empty() {
                bail!(
                    "{path} lists nothing: {} {}",
                    answer.status,
                    answer.body_head()
                );
            }
            Ok(ids)
        };
        let parties = ids("/api/parties").await?;
        let plots = ids("/api/land-plots").await?;
        let contracts = ids("/api/contracts").await?;
        let shared = contracts.iter().copied().take(SHARED_CONTRACTS).collect();
        Ok(Self {
            parties,
            plots,
            contracts,
            shared,
        })
    }
}

/// The version of a contract as the API shows it.
pub(super) fn version_of(contract: &Value) -> Option<u64> {
    contract["version"].as_u64()
}
