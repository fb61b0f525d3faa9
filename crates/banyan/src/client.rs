//! Talks to the API of a running `banyan serve`.

use crate::{control, exit::Failure};
use bytes::Bytes;
use conductor::{
    Reply,
    api::{ErrorKind, ErrorReply, ExplainRequest, Parameters},
    status::Status,
};
use gateway::ShadowReport;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client as Legacy, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::de::DeserializeOwned;
use std::{collections::BTreeMap, path::Path};

/// The most that an answer may hold: a verify's thousand differences fit.
const BODY_BYTES_MAX: usize = 16 << 20;

/// A way to the API.
#[derive(Clone)]
pub(crate) struct Client {
    http: Legacy<HttpConnector, Full<Bytes>>,
    address: String,
    token: String,
}

impl Client {
    /// Finds the running `banyan serve` by its state directory.
    pub(crate) fn find(state: &Path) -> Result<Self, Failure> {
        let found = control::read(state).map_err(|error| {
            Failure::Refused(format!("{} cannot be read: {error}", state.display()))
        })?;
        let Some(control) = found else {
            return Err(Failure::Refused(format!(
                "no `banyan serve` runs with the state directory {}. Start it, or name its \
                 directory with --state",
                state.display()
            )));
        };
        let http = Legacy::builder(TokioExecutor::new()).build_http();
        Ok(Self {
            http,
            address: control.address,
            token: control.token,
        })
    }

    /// How everything stands.
    pub(crate) async fn status(&self) -> Result<Status, Failure> {
        let (code, body) = self.call(Method::GET, "/v1/status", Bytes::new()).await?;
        if code == StatusCode::OK {
            parse(&body)
        } else {
            Err(unexpected(code, &body))
        }
    }

    /// Asks for something, and waits until it is done.
    pub(crate) async fn ask(
        &self,
        extraction: &str,
        verb: &str,
        parameters: &Parameters,
    ) -> Result<Result<Reply, ErrorReply>, Failure> {
        let body = serde_json::to_vec(parameters).map_err(Failure::not_done)?;
        let path = format!("/v1/extractions/{extraction}/{verb}");
        let (code, body) = self.call(Method::POST, &path, body.into()).await?;
        if code == StatusCode::OK {
            parse(&body).map(Ok)
        } else {
            parse(&body).map(Err)
        }
    }

    /// The gateway's routes.
    pub(crate) async fn routes(&self) -> Result<Vec<BTreeMap<String, String>>, Failure> {
        let (code, body) = self.call(Method::GET, "/v1/routes", Bytes::new()).await?;
        if code == StatusCode::OK {
            parse(&body)
        } else {
            Err(unexpected(code, &body))
        }
    }

    /// Lets the gateway go by the plan as it now is.
    pub(crate) async fn reload(&self) -> Result<(), Failure> {
        let (code, body) = self.call(Method::POST, "/v1/reload", Bytes::new()).await?;
        if code == StatusCode::OK {
            Ok(())
        } else {
            Err(unexpected(code, &body))
        }
    }

    /// What the comparisons of an extraction's reads found.
    pub(crate) async fn shadow(&self, extraction: &str) -> Result<ShadowReport, Failure> {
        let path = format!("/v1/extractions/{extraction}/shadow");
        let (code, body) = self.call(Method::GET, &path, Bytes::new()).await?;
        if code == StatusCode::OK {
            parse(&body)
        } else {
            Err(unexpected(code, &body))
        }
    }

    /// What the gateway would do with a request.
    pub(crate) async fn explain(
        &self,
        question: &ExplainRequest,
    ) -> Result<serde_json::Value, Failure> {
        let body = serde_json::to_vec(question).map_err(Failure::not_done)?;
        let (code, body) = self.call(Method::POST, "/v1/explain", body.into()).await?;
        if code == StatusCode::OK {
            parse(&body)
        } else {
            Err(unexpected(code, &body))
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| Failure::Refused(format!("`{path}` is no path: {error}")))?;
        let gone = |error: &dyn std::fmt::Display| {
            Failure::NotDone(format!(
                "`banyan serve` at {} does not answer: {error}. Is it still running?",
                self.address
            ))
        };
        let response = self
            .http
            .request(request)
            .await
            .map_err(|error| gone(&error))?;
        let code = response.status();
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX);
        let body = body.collect().await.map_err(|error| gone(&error))?;
        Ok((code, body.to_bytes()))
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::NotDone(format!("the answer is not understood: {error}")))
}

fn unexpected(code: StatusCode, body: &[u8]) -> Failure {
    match serde_json::from_slice::<ErrorReply>(body) {
        Ok(ErrorReply {
            error,
            kind: ErrorKind::Refused,
            ..
        }) => Failure::Refused(error),
        Ok(ErrorReply { error, .. }) => Failure::NotDone(error),
        Err(_) => Failure::NotDone(format!("the answer was {code}")),
    }
}
