//! The anti-corruption layer: keeps another system's words out of ours.
//!
//! The service asks a [`Facade`] in its own words. A [`Translator`], which is
//! pure and so can be tested by a table, makes a call of the other system's
//! interface out of the question and an answer out of the reply. An
//! [`Adapter`] does the call, over HTTP ([`HttpReader`]) or whatever the other
//! system speaks, and knows nothing of us.

use http::StatusCode;

use crate::client::{Client, ClientError};

/// Speaks with another system, in its own words.
pub trait Adapter {
    /// What it can be asked.
    type Call;
    /// What it says.
    type Reply;
    /// Why it says nothing.
    type Error: std::error::Error + 'static;

    /// Asks once.
    fn call(
        &self,
        call: Self::Call,
    ) -> impl Future<Output = Result<Self::Reply, Self::Error>> + Send;
}

/// Between our words and another system's. Pure.
pub trait Translator {
    /// What we want to know.
    type Question;
    /// What we want to hear.
    type Answer;
    /// What the other system can be asked.
    type Call;
    /// What it says.
    type Reply;
    /// A reply that means nothing to us.
    type Error: std::error::Error + 'static;

    /// The question in its words.
    fn call(&self, question: &Self::Question) -> Self::Call;

    /// The reply in ours.
    fn answer(
        &self,
        question: &Self::Question,
        reply: Self::Reply,
    ) -> Result<Self::Answer, Self::Error>;
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AclError<A: std::error::Error + 'static, T: std::error::Error + 'static> {
    /// The other system said nothing.
    #[error("the other system cannot be asked")]
    Unavailable(#[source] A),
    /// It said something that means nothing to us.
    #[error("the other system's reply is not understood")]
    Untranslatable(#[source] T),
}

/// What the service sees of another system.
#[derive(Debug, Clone)]
pub struct Facade<A, T> {
    adapter: A,
    translator: T,
}

impl<A, T> Facade<A, T>
where
    A: Adapter,
    T: Translator<Call = A::Call, Reply = A::Reply>,
{
    /// Of a system that one speaks with and the other translates for.
    pub fn new(adapter: A, translator: T) -> Self {
        Self {
            adapter,
            translator,
        }
    }

    /// Asks in our words.
    pub async fn ask(
        &self,
        question: &T::Question,
    ) -> Result<T::Answer, AclError<A::Error, T::Error>> {
        let call = self.translator.call(question);
        let reply = self
            .adapter
            .call(call)
            .await
            .map_err(AclError::Unavailable)?;
        let answer = self.translator.answer(question, reply);
        answer.map_err(AclError::Untranslatable)
    }
}

/// Reads another system over HTTP: a call is the path of a GET.
#[derive(Debug, Clone)]
pub struct HttpReader(pub Client);

/// What a GET has brought.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: bytes::Bytes,
}

impl Adapter for HttpReader {
    type Call = String;
    type Reply = Reply;
    type Error = ClientError;

    async fn call(&self, path: String) -> Result<Reply, ClientError> {
        let answer = self.0.get(path).send().await?;
        Ok(Reply {
            status: answer.status,
            body: answer.body,
        })
    }
}
