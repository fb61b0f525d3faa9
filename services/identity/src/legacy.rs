//! Another issuer of sessions for the same users, which we trust as it trusts
//! us: the system that people logged in to before. Each of both asks the other
//! about what it does not know, and answers from its own database only.
//!
//! Its words are the same as ours under `/auth/sessions`; tokens of its own old
//! kind are shown to its `/api/auth/me`.

use http::{HeaderValue, Method, StatusCode, header};
use kit::Problem;
use kit::acl::{Adapter, Facade, Reply, Translator};
use kit::client::{Client, ClientError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// What one issuer tells the other of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "lowercase")]
#[schema(as = Told)]
pub(crate) enum SessionReport {
    /// It was not ended here.
    Good(KnownSession),
    /// Log in again.
    Ended,
    /// Its refresh token came a second time: it has ended.
    Replayed {
        /// Which.
        session: Uuid,
    },
    /// Nothing is known of it.
    Unknown,
}

/// A session that was not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Known)]
pub(crate) struct KnownSession {
    pub(crate) session: Uuid,
    pub(crate) user: i32,
    /// SHA-256 of the encoded password that it is bound to, in hexadecimal.
    pub(crate) password_digest: String,
    /// Seconds since 1970.
    pub(crate) expires_at: i64,
    /// Whether the user has that password, as far as is known there.
    pub(crate) is_current: bool,
}

/// The other issuer, if there is one.
#[derive(Debug, Clone)]
pub(crate) struct Legacy(Option<Facade<HttpAdapter, LegacyTranslator>>);

impl Legacy {
    pub(crate) fn new(client: Option<Client>) -> Self {
        Self(client.map(|client| Facade::new(HttpAdapter(client), LegacyTranslator)))
    }

    /// What it knows of a session.
    pub(crate) async fn session(&self, id: Uuid) -> Result<SessionReport, Problem> {
        self.told(Query::Session(id)).await
    }

    /// Uses a refresh token of its up. May be asked again: the token is good
    /// for us until we have answered for it.
    pub(crate) async fn claim(&self, token: &str) -> Result<SessionReport, Problem> {
        self.told(Query::Claim(token.to_owned())).await
    }

    /// Lets a session end there.
    pub(crate) async fn end(&self, id: Uuid) -> Result<(), Problem> {
        self.ask(Query::End(id)).await.map(drop)
    }

    /// Whose token of the old kind it is.
    pub(crate) async fn holder(&self, token: &str) -> Result<Option<i32>, Problem> {
        match self.ask(Query::Holder(token.to_owned())).await? {
            Some(LegacyAnswer::Holder(user)) => Ok(user),
            _ => Ok(None),
        }
    }

    async fn told(&self, question: Query) -> Result<SessionReport, Problem> {
        match self.ask(question).await? {
            Some(LegacyAnswer::SessionReport(told)) => Ok(told),
            _ => Ok(SessionReport::Unknown),
        }
    }

    async fn ask(&self, question: Query) -> Result<Option<LegacyAnswer>, Problem> {
        let Some(facade) = &self.0 else {
            return Ok(None);
        };
        facade.ask(&question).await.map(Some).map_err(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the other issuer of sessions failed");
            Problem::unavailable("The system that issued this token is away.")
        })
    }
}

#[derive(Debug)]
enum Query {
    Session(Uuid),
    Claim(String),
    End(Uuid),
    Holder(String),
}

#[derive(Debug)]
enum LegacyAnswer {
    SessionReport(SessionReport),
    Holder(Option<i32>),
    Done,
}

/// A request of its interface.
#[derive(Debug)]
struct LegacyRequest {
    method: Method,
    path: String,
    body: Option<serde_json::Value>,
    authorization: Option<String>,
}

/// Sends the calls.
#[derive(Debug, Clone)]
struct HttpAdapter(Client);

impl Adapter for HttpAdapter {
    type Call = LegacyRequest;
    type Reply = Reply;
    type Error = ClientError;

    async fn call(&self, call: LegacyRequest) -> Result<Reply, ClientError> {
        let mut request = self.0.request(call.method, call.path);
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        // What is not a valid header value is no token.
        if let Some(text) = call.authorization
            && let Ok(mut value) = HeaderValue::try_from(text)
        {
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        let answer = request.send().await?;
        Ok(Reply {
            status: answer.status,
            body: answer.body,
        })
    }
}

/// An answer that means nothing to us.
#[derive(Debug, thiserror::Error)]
enum ReplyError {
    #[error("it answered {0}; check LEGACY_AUTH_URL and LEGACY_AUTH_API_KEY")]
    Status(StatusCode),
    #[error("its answer is not as described")]
    Content(#[from] serde_json::Error),
    #[error("it answered about another session")]
    Other,
}

#[derive(Debug, Clone, Copy)]
struct LegacyTranslator;

#[derive(Deserialize)]
struct Holder {
    id: i32,
}

impl Translator for LegacyTranslator {
    type Question = Query;
    type Answer = LegacyAnswer;
    type Call = LegacyRequest;
    type Reply = Reply;
    type Error = ReplyError;

    fn call(&self, question: &Query) -> LegacyRequest {
        let call = |method, path| LegacyRequest {
            method,
            path,
            body: None,
            authorization: None,
        };
        match question {
            Query::Session(id) => call(Method::GET, format!("/auth/sessions/{id}")),
            Query::End(id) => call(Method::DELETE, format!("/auth/sessions/{id}")),
            Query::Claim(token) => LegacyRequest {
                body: Some(serde_json::json!({ "refresh_token": token })),
                ..call(Method::POST, "/auth/sessions/claim".to_owned())
            },
            Query::Holder(token) => LegacyRequest {
                authorization: Some(format!("Token {token}")),
                ..call(Method::GET, "/api/auth/me".to_owned())
            },
        }
    }

    fn answer(&self, question: &Query, reply: Reply) -> Result<LegacyAnswer, ReplyError> {
        if let (Query::Holder(_), StatusCode::UNAUTHORIZED) = (question, reply.status) {
            return Ok(LegacyAnswer::Holder(None));
        }
        if !reply.status.is_success() {
            return Err(ReplyError::Status(reply.status));
        }
        match question {
            Query::End(_) => Ok(LegacyAnswer::Done),
            Query::Holder(_) => {
                let Holder { id } = serde_json::from_slice(&reply.body)?;
                Ok(LegacyAnswer::Holder(Some(id)))
            }
            Query::Claim(_) => Ok(LegacyAnswer::SessionReport(serde_json::from_slice(
                &reply.body,
            )?)),
            Query::Session(asked) => match serde_json::from_slice(&reply.body)? {
                SessionReport::Good(known) if known.session != *asked => Err(ReplyError::Other),
                told => Ok(LegacyAnswer::SessionReport(told)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(question: &Query, status: u16, body: &str) -> Option<LegacyAnswer> {
        let reply = Reply {
            status: StatusCode::from_u16(status).unwrap(),
            body: body.to_owned().into(),
        };
        LegacyTranslator.answer(question, reply).ok()
    }

    #[test]
    fn what_it_says_is_taken_or_not_understood() {
        let id = Uuid::from_u128(7);
        let good = |session: Uuid| {
            format!(
                r#"{{"state": "good", "session": "{session}", "user": 3,
                "password_digest": "ab", "expires_at": 9, "is_current": true}}"#
            )
        };
        let session = Query::Session(id);
        let told = answer(&session, 200, &good(id));
        assert!(
            matches!(told, Some(LegacyAnswer::SessionReport(SessionReport::Good(known))) if known.user == 3)
        );
        assert!(answer(&session, 200, &good(Uuid::from_u128(8))).is_none());
        let unknown = answer(&session, 200, r#"{"state": "unknown"}"#);
        assert!(matches!(
            unknown,
            Some(LegacyAnswer::SessionReport(SessionReport::Unknown))
        ));
        // A wrong key must not look like a session that has ended.
        for status in [401, 403, 404, 500] {
            assert!(answer(&session, status, r#"{"state": "unknown"}"#).is_none());
        }
        let holder = Query::Holder("x".to_owned());
        let nobody = answer(&holder, 401, "");
        assert!(matches!(nobody, Some(LegacyAnswer::Holder(None))));
        let somebody = answer(&holder, 200, r#"{"id": 5, "username": "a"}"#);
        assert!(matches!(somebody, Some(LegacyAnswer::Holder(Some(5)))));
    }
}
