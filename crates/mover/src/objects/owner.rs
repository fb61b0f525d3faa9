//! The ownership row of one side, and the claim on it.
//!
//! Every transaction of ours that changes a side begins with [`locked`]: it
//! locks the row and refuses when another conductor has claimed it since. The
//! same statement shows the claim to that side's fences, for the length of the
//! transaction: so what passes a fence by a claim is exactly what holds the row
//! locked as that claim's. A role passes no fence, not even ours.

use super::schema;
use crate::{
    error::MoverError,
    layout::{CLAIM_SETTING, SCHEMA, claim_text},
};
use plan::ExtractionName;
use protocol::{
    ConductorId, Epoch, Generation, InstanceId, Nonce, Side,
    owner::{Claim, Owner, OwnerRow},
};
use tokio_postgres::{GenericClient, Row};

const COLUMNS: &str = "owner, epoch, generation, conductor, instance, nonce";

/// The claims of one conductor on both sides' rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// On the monolith's row.
    pub monolith: Claim,
    /// On the service's row.
    pub service: Claim,
}

impl Claims {
    /// The claim on a side's row.
    pub fn of(&self, side: Side) -> Claim {
        match side {
            Side::Monolith => self.monolith,
            Side::Service => self.service,
        }
    }
}

/// How strongly [`locked`] locks the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowLock {
    /// Shared: the transaction applies rows, or changes fences.
    Share,
    /// Exclusive: the transaction changes the row.
    Update,
}

/// Reads the row without locking it. `None`: no such extraction here, or
/// Banyan was never here.
pub async fn read(
    client: &impl GenericClient,
    side: Side,
    extraction: &ExtractionName,
) -> Result<Option<OwnerRow>, MoverError> {
    let wrap = || MoverError::sql(side, "reading the ownership row");
    if !schema::has(client, side, "owner").await? {
        return Ok(None);
    }
    let select = format!("select {COLUMNS} from {SCHEMA}.owner where extraction = $1");
    let row = client
        .query_opt(&select, &[&extraction.as_str()])
        .await
        .map_err(wrap())?;
    row.map(|row| decode(&row, side, extraction)).transpose()
}

/// Whether each side keeps its own of the split tables by now: the service's
/// row says so.
pub(crate) async fn is_split(
    service: &impl GenericClient,
    extraction: &ExtractionName,
) -> Result<bool, MoverError> {
    let row = read(service, Side::Service, extraction).await?;
    Ok(row.is_some_and(|row| protocol::stream::is_split(&row)))
}

/// Takes charge of the row: a new generation, after which every transaction
/// of an earlier conductor is refused. `None` when there is no row.
///
/// Repeating it with the same conductor only raises the generation again.
pub async fn claim(
    client: &impl GenericClient,
    side: Side,
    extraction: &ExtractionName,
    conductor: ConductorId,
) -> Result<Option<(OwnerRow, Claim)>, MoverError> {
    if read(client, side, extraction).await?.is_none() {
        return Ok(None);
    }
    let update = format!(
        "update {SCHEMA}.owner set conductor = $2, generation = generation + 1 \
         where extraction = $1 returning {COLUMNS}"
    );
    let row = client
        .query_opt(&update, &[&extraction.as_str(), &conductor.0])
        .await
        .map_err(MoverError::sql(side, "claiming the ownership row"))?;
    let Some(row) = row else { return Ok(None) };
    let row = decode(&row, side, extraction)?;
    Ok(Some((
        row,
        Claim {
            conductor,
            generation: row.generation,
        },
    )))
}

/// Locks the row inside a transaction, checks the claim, and shows it to the
/// fences until the transaction ends. They compare it with the row themselves.
pub async fn locked(
    transaction: &impl GenericClient,
    side: Side,
    extraction: &ExtractionName,
    claim: Claim,
    lock: RowLock,
) -> Result<OwnerRow, MoverError> {
    let lock = match lock {
        RowLock::Share => "for share",
        RowLock::Update => "for update",
    };
    let select = format!(
        "select {COLUMNS}, set_config('{CLAIM_SETTING}', $2, true) \
         from {SCHEMA}.owner where extraction = $1 {lock}"
    );
    let row = transaction
        .query_opt(&select, &[&extraction.as_str(), &claim_text(claim)])
        .await
        .map_err(MoverError::sql(side, "locking the ownership row"))?;
    let row = match row {
        Some(row) => decode(&row, side, extraction)?,
        None => return Err(gone(side, extraction)),
    };
    let extraction = extraction.clone();
    let (found, ours) = (row.generation.0, claim.generation.0);
    if row.conductor == claim.conductor && found == ours {
        Ok(row)
    } else if found < ours {
        // It never goes down by itself, whoever claims.
        Err(MoverError::WentBack {
            extraction,
            side,
            found,
            ours,
        })
    } else {
        Err(MoverError::Superseded {
            extraction,
            side,
            found,
            ours,
        })
    }
}

/// There is no row where there was one.
pub(crate) fn gone(side: Side, extraction: &ExtractionName) -> MoverError {
    MoverError::Overtaken {
        extraction: extraction.clone(),
        side,
        found: "is gone; it was cancelled or never started".to_owned(),
    }
}

/// Writes a new owner. The caller has locked the row in this transaction.
pub async fn set(
    transaction: &impl GenericClient,
    side: Side,
    extraction: &ExtractionName,
    owner: Owner,
    epoch: Epoch,
    nonce: Nonce,
) -> Result<(), MoverError> {
    let update = format!(
        "update {SCHEMA}.owner set owner = $2, epoch = $3, nonce = $4, changed_at = now() \
         where extraction = $1"
    );
    transaction
        .execute(
            &update,
            &[
                &extraction.as_str(),
                &owner.as_str(),
                &signed(epoch),
                &nonce.0,
            ],
        )
        .await
        .map_err(MoverError::sql(side, "changing the ownership row"))?;
    Ok(())
}

/// Epochs count hand-overs: they do not reach the sign bit.
pub(crate) fn signed(epoch: Epoch) -> i64 {
    i64::try_from(epoch.0).unwrap_or(i64::MAX)
}

fn decode(row: &Row, side: Side, extraction: &ExtractionName) -> Result<OwnerRow, MoverError> {
    let word: String = row.get(0);
    let number = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or_default();
    let owner = Owner::from_word(&word).ok_or_else(|| MoverError::Row {
        extraction: extraction.clone(),
        side,
        epoch: Epoch(number(1)),
        problem: "its owner is not a word that this version knows; use the version that wrote it"
            .to_owned(),
    })?;
    Ok(OwnerRow {
        owner,
        epoch: Epoch(number(1)),
        generation: Generation(number(2)),
        conductor: ConductorId(row.get(3)),
        instance: InstanceId(row.get(4)),
        nonce: Nonce(row.get(5)),
    })
}
