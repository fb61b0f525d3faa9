//! What a person does by hand.

use anyhow::Result;
use tokio_postgres::Client;

/// Changes rows past a fence, as a person may who repairs them: in the name of
/// the claim that the row has.
pub async fn past_the_fence(client: &Client, extraction: &str, statements: &str) -> Result<()> {
    let all = format!(
        "begin; select set_config('banyan.claim', concat(conductor, '/', generation), true) \
         from banyan.owner where extraction = '{extraction}' for share; {statements}; commit"
    );
    Ok(client.batch_execute(&all).await?)
}
