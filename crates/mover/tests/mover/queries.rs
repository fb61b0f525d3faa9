//! Queries whose results the tests compare.

use anyhow::Result;
use tokio_postgres::Client;

/// The rows of a query, each as text.
pub async fn lines(client: &Client, query: &str) -> Result<Vec<String>> {
    let rows = client
        .query(&format!("select q::text from ({query}) q"), &[])
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
