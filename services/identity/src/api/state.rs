//! What all requests share, and what they do with it alike.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use kit::Problem;
use kit::database::{Database, DatabaseError, commit};
use serde::Serialize;
use utoipa::ToSchema;

use super::client_address::ClientAddress;
use crate::audit::{self, Event};
use crate::legacy::Legacy;
use crate::password::Hasher;
use crate::session::IssuedSession;
use crate::throttle::{Counter, Throttle, Verdict};
use crate::token::Tokens;
use crate::user::{self, Login, User};

/// Links within the window of the throttle, over all accounts: more are a
/// flood, of letters and of rows.
const LINKS_MAX: u32 = 10_000;

/// What all requests share.
pub(crate) struct AppState {
    pub(crate) database: Database,
    pub(crate) hasher: Hasher,
    pub(crate) tokens: Tokens,
    pub(crate) throttle: Throttle,
    pub(crate) legacy: Legacy,
    pub(crate) policy: Policy,
}

/// What the settings say about what is allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    pub(crate) refresh_days: u32,
    pub(crate) link_lifetime: Duration,
    pub(crate) rehash: bool,
    pub(crate) account_failures: u32,
    pub(crate) address_failures: u32,
    pub(crate) address_requests: u32,
    /// Differs between processes, so that nobody knows whose password is tried
    /// in place of nobody's.
    pub(crate) decoy_seed: NonZeroU32,
}

pub(super) type State = axum::extract::State<Arc<AppState>>;

/// What carries a session: as seed 003 has it, field by field.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenResponse {
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
}

impl AppState {
    /// What carries a session.
    pub(super) async fn tokens(
        &self,
        connection: &mut sqlx::PgConnection,
        user: &User,
        begun: IssuedSession,
    ) -> Result<TokenResponse, Problem> {
        let roles = user::roles(connection, user).await?;
        Ok(TokenResponse {
            access_token: self.tokens.make(user.id, begun.session, &roles)?,
            refresh_token: begun.refresh_token,
            token_type: "bearer",
        })
    }

    /// Refuses an attempt that would be one too many; the first is noted.
    pub(super) async fn look(
        &self,
        counters: &[Counter],
        address: ClientAddress,
    ) -> Result<(), Problem> {
        let verdict = self.throttle.look(counters).await?;
        self.noted(verdict, address).await
    }

    /// Counts an attempt; the first that is one too many is noted.
    pub(super) async fn count(
        &self,
        counters: &[Counter],
        address: ClientAddress,
    ) -> Result<(), Problem> {
        let verdict = self.throttle.count(counters).await?;
        self.noted(verdict, address).await
    }

    async fn noted(&self, verdict: Verdict, address: ClientAddress) -> Result<(), Problem> {
        if let Verdict::Refused { is_first: true, .. } = verdict {
            self.note(Event::Throttled { address: address.0 }).await?;
        }
        verdict.allowed()
    }

    /// Counts a link that is asked for: by account, by where it comes from, and
    /// over all. What one of the first two refuses does not count for all.
    pub(super) async fn count_link(
        &self,
        account: &str,
        address: ClientAddress,
    ) -> Result<(), Problem> {
        let policy = self.policy;
        let mut counters = vec![Counter::new("link", account, policy.account_failures)];
        counters.extend(
            address
                .0
                .map(|from| Counter::of_address("link", from, policy.address_requests)),
        );
        self.look(&counters, address).await?;
        counters.push(Counter::new("links", "", LINKS_MAX));
        self.count(&counters, address).await
    }

    /// Counts what costs us rows, by where it comes from.
    pub(super) async fn count_request(
        &self,
        kind: &str,
        address: ClientAddress,
    ) -> Result<(), Problem> {
        let most = self.policy.address_requests;
        let counter = address
            .0
            .map(|address| Counter::of_address(kind, address, most));
        self.count(counter.as_slice(), address).await
    }

    /// Notes what goes with no other change.
    pub(super) async fn note(&self, event: Event) -> Result<(), Problem> {
        let mut transaction = self.database.begin().await?;
        audit::note(&mut transaction, event).await?;
        Ok(commit(transaction).await?)
    }

    /// What a login's failures, and the links for it, are counted under.
    pub(super) async fn counted_as(&self, login: &Login) -> Result<String, Problem> {
        let mut connection = self.connection().await?;
        Ok(user::counted_as(&mut connection, login).await?)
    }

    pub(super) async fn connection(
        &self,
    ) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>, Problem> {
        let connection = self.database.pool().acquire().await;
        Ok(connection.map_err(DatabaseError::from)?)
    }
}
