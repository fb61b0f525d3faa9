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
pub(crate) enum Told {
    /// It was not ended here.
    Good(Known),
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
pub(crate) struct Known {
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
pub(crate) struct Legacy(Option<Facade<Calls, Words>>);

impl Legacy {
    pub(crate) fn new(client: Option<Client>) -> Self {
        Self(client.map(|client| Facade::new(Calls(client), Words)))
    }

    /// What it knows of a session.
    pub(crate) async fn session(&self, id: Uuid) -> Result<Told, Problem> {
        self.told(Question::Session(id)).await
    }

    /// Uses a refresh token of its up. May be asked again: the token is good
    /// for us until we have answered for it.
    pub(crate) async fn claim(&self, token: &str) -> Result<Told, Problem> {
        self.told(Question::Claim(token.to_owned())).await
    }

    /// Lets a session end there.
    pub(crate) async fn end(&self, id: Uuid) -> Result<(), Problem> {
        self.ask(Question::End(id)).await.map(drop)
    }

    /// Whose token of the old kind it is.
    pub(crate) async fn holder(&self, token: &str) -> Result<Option<i32>, Problem> {
        match self.ask(Question::Holder(token.to_owned())).await? {
            Some(Answer::Holder(user)) => Ok(user),
            _ => Ok(None),
        }
    }

    async fn told(&self, question: Question) -> Result<Told, Problem> {
        match self.ask(question).await? {
            Some(Answer::Told(told)) => Ok(told),
            _ => Ok(Told::Unknown),
        }
    }

    async fn ask(&self, question: Question) -> Result<Option<Answer>, Problem> {
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
enum Question {
    Session(Uuid),
    Claim(String),
    End(Uuid),
    Holder(String),
}

#[derive(Debug)]
enum Answer {
    Told(Told),
    Holder(Option<i32>),
    Done,
}

/// A request of its interface.
#[derive(Debug)]
struct Call {
    method: Method,
    path: String,
    body: Option<serde_json::Value>,
    authorization: Option<String>,
}

/// Sends the calls.
#[derive(Debug, Clone)]
struct Calls(Client);

impl Adapter for Calls {
    type Call = Call;
    type Reply = Reply;
    type Error = ClientError;

    async fn call(&self, call: Call) -> Result<Reply, ClientError> {
        let mut request = self.0.request(call.method, call.path);
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        // One that is no header is a token that nobody has.
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
enum Misunderstood {
    #[error("it answered {0}; check LEGACY_AUTH_URL and LEGACY_AUTH_API_KEY")]
    Status(StatusCode),
    #[error("its answer is not as described")]
    Content(#[from] serde_json::Error),
    #[error("it answered about another session")]
    Other,
}

#[derive(Debug, Clone, Copy)]
struct Words;

#[derive(Deserialize)]
struct Holder {
    id: i32,
}

impl Translator for Words {
    type Question = Question;
    type Answer = Answer;
    type Call = Call;
    type Reply = Reply;
    type Error = Misunderstood;

    fn call(&self, question: &Question) -> Call {
        let call = |method, path| Call {
            method,
            path,
            body: None,
            authorization: None,
        };
        match question {
            Question::Session(id) => call(Method::GET, format!("/auth/sessions/{id}")),
            Question::End(id) => call(Method::DELETE, format!("/auth/sessions/{id}")),
            Question::Claim(token) => Call {
                body: Some(serde_json::json!({ "refresh_token": token })),
                ..call(Method::POST, "/auth/sessions/claim".to_owned())
            },
            Question::Holder(token) => Call {
                authorization: Some(format!("Token {token}")),
                ..call(Method::GET, "/api/auth/me".to_owned())
            },
        }
    }

    fn answer(&self, question: &Question, reply: Reply) -> Result<Answer, Misunderstood> {
        if let (Question::Holder(_), StatusCode::UNAUTHORIZED) = (question, reply.status) {
            return Ok(Answer::Holder(None));
        }
        if !reply.status.is_success() {
            return Err(Misunderstood::Status(reply.status));
        }
        match question {
            Question::End(_) => Ok(Answer::Done),
            Question::Holder(_) => {
                let Holder { id } = serde_json::from_slice(&reply.body)?;
                Ok(Answer::Holder(Some(id)))
            }
            Question::Claim(_) => Ok(Answer::Told(serde_json::from_slice(&reply.body)?)),
            Question::Session(asked) => match serde_json::from_slice(&reply.body)? {
                Told::Good(known) if known.session != *asked => Err(Misunderstood::Other),
                told => Ok(Answer::Told(told)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(question: &Question, status: u16, body: &str) -> Option<Answer> {
        let reply = Reply {
            status: StatusCode::from_u16(status).unwrap(),
            body: body.to_owned().into(),
        };
        Words.answer(question, reply).ok()
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
        let session = Question::Session(id);
        let told = answer(&session, 200, &good(id));
        assert!(matches!(told, Some(Answer::Told(Told::Good(known))) if known.user == 3));
        assert!(answer(&session, 200, &good(Uuid::from_u128(8))).is_none());
        let unknown = answer(&session, 200, r#"{"state": "unknown"}"#);
        assert!(matches!(unknown, Some(Answer::Told(Told::Unknown))));
        // A wrong key must not look like a session that has ended.
        for status in [401, 403, 404, 500] {
            assert!(answer(&session, status, r#"{"state": "unknown"}"#).is_none());
        }
        let holder = Question::Holder("x".to_owned());
        let nobody = answer(&holder, 401, "");
        assert!(matches!(nobody, Some(Answer::Holder(None))));
        let somebody = answer(&holder, 200, r#"{"id": 5, "username": "a"}"#);
        assert!(matches!(somebody, Some(Answer::Holder(Some(5)))));
    }
}
