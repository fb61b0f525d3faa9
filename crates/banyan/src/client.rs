//! Talks to the API of a running `banyan serve`: with the token of its state directory,
//! or with a personal key, which only the environment has. Arguments are for all users
//! of a machine to see.

use crate::{
    control::{self, ControlFile},
    exit::Failure,
};
use bytes::Bytes;
use conductor::{
    JournalEntry, JournalPage, PAGE_ENTRIES_MAX, Reply,
    api::{
        CheckRequest, ErrorKind, ErrorReply, ExplainRequest, HaltRequest, Parameters, ReloadReply,
        ReloadRequest,
    },
    status::{ChecklistStatus, RetireStatus, Status},
};
use gateway::ShadowReport;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client as Legacy, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::de::DeserializeOwned;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The most that an answer may hold: a verify's thousand differences fit.
const BODY_BYTES_MAX: usize = 16 << 20;

/// A take-over changes address and token; so often a call is made anew for it.
const TAKE_OVERS_MAX: usize = 3;

/// A personal key.
const KEY: &str = "BANYAN_KEY";

/// Where the API is, for who may not read the state directory.
const CONTROL: &str = "BANYAN_CONTROL";

/// Who orders.
const PERSON: &str = "BANYAN_USER";

/// The login's name.
const USER: &str = "USER";

/// Where the console lets somebody in.
#[derive(serde::Deserialize)]
struct ConsoleSignIn {
    path: String,
}

/// A way to the API.
#[derive(Clone)]
pub(crate) struct Client {
    http: Legacy<HttpConnector, Full<Bytes>>,
    state: PathBuf,
    control: ControlFile,
}

impl Client {
    /// Finds the running `banyan serve`, by its state directory unless the environment
    /// says where it is.
    pub(crate) fn find(state: &Path) -> Result<Self, Failure> {
        Ok(Self {
            http: Legacy::builder(TokioExecutor::new()).build_http(),
            state: state.to_owned(),
            control: reach(state, &environment)?,
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
        let parameters = Parameters {
            by: parameters.by.clone().or_else(person),
            ..parameters.clone()
        };
        let body = serde_json::to_vec(&parameters).map_err(Failure::not_done)?;
        let path = format!("/v1/extractions/{extraction}/{verb}");
        let (code, body) = self.call(Method::POST, &path, body.into()).await?;
        if code == StatusCode::OK {
            parse(&body).map(Ok)
        } else {
            parse(&body).map(Err)
        }
    }

    /// Halts all rollouts, or ends that.
    pub(crate) async fn halt(&self, asked: &HaltRequest) -> Result<Status, Failure> {
        let asked = HaltRequest {
            by: asked.by.clone().or_else(person),
            ..asked.clone()
        };
        let body = serde_json::to_vec(&asked).map_err(Failure::not_done)?;
        let (code, body) = self.call(Method::POST, "/v1/halt", body.into()).await?;
        if code == StatusCode::OK {
            parse(&body)
        } else {
            Err(unexpected(code, &body))
        }
    }

    /// Where the console lets this caller in, once.
    pub(crate) async fn console(&self, by: Option<String>) -> Result<String, Failure> {
        let asked = serde_json::json!({ "by": by.or_else(person) });
        let asked = Bytes::from(asked.to_string());
        let path = "/v1/console/sign-ins";
        let (code, body) = self.call(Method::POST, path, asked).await?;
        if code != StatusCode::OK {
            return Err(unexpected(code, &body));
        }
        let ConsoleSignIn { path } = parse(&body)?;
        // A take-over may have changed the address meanwhile.
        let address = reach(&self.state, &environment)?.address;
        Ok(format!("http://{address}{path}"))
    }

    /// The whole journal, in order.
    pub(crate) async fn journal(&self) -> Result<Vec<JournalEntry>, Failure> {
        let mut entries: Vec<JournalEntry> = Vec::new();
        loop {
            let after = entries.last().map_or(0, |last| last.seq);
            let path = format!("/v1/journal?after={after}&limit={PAGE_ENTRIES_MAX}");
            let (code, body) = self.call(Method::GET, &path, Bytes::new()).await?;
            if code != StatusCode::OK {
                return Err(unexpected(code, &body));
            }
            let page: JournalPage = parse(&body)?;
            if page.entries.is_empty() {
                return Ok(entries);
            }
            entries.extend(page.entries);
        }
    }

    /// The last entries of an extraction, or those before one, in order.
    pub(crate) async fn entries_before(
        &self,
        extraction: &str,
        before: Option<i64>,
    ) -> Result<Vec<JournalEntry>, Failure> {
        let before = before.unwrap_or(i64::MAX);
        let path =
            format!("/v1/journal?extraction={extraction}&before={before}&limit={PAGE_ENTRIES_MAX}");
        let (code, body) = self.call(Method::GET, &path, Bytes::new()).await?;
        if code != StatusCode::OK {
            return Err(unexpected(code, &body));
        }
        Ok(parse::<JournalPage>(&body)?.entries)
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

    /// Has all go by the plan as it now is.
    pub(crate) async fn reload(&self) -> Result<ReloadReply, Failure> {
        let body = serde_json::to_vec(&ReloadRequest { by: person() });
        let body = body.map_err(Failure::not_done)?;
        let (code, body) = self.call(Method::POST, "/v1/reload", body.into()).await?;
        if code == StatusCode::OK {
            parse(&body)
        } else {
            Err(unexpected(code, &body))
        }
    }

    /// The checklists of an extraction.
    pub(crate) async fn checklists(
        &self,
        extraction: &str,
    ) -> Result<Vec<ChecklistStatus>, Failure> {
        let path = format!("/v1/extractions/{extraction}/checklists");
        let (code, body) = self.call(Method::GET, &path, Bytes::new()).await?;
        if code == StatusCode::OK {
            parse(&body)
        } else {
            Err(unexpected(code, &body))
        }
    }

    /// Whether the old side of an extraction is used.
    pub(crate) async fn retirement(&self, extraction: &str) -> Result<RetireStatus, Failure> {
        let path = format!("/v1/extractions/{extraction}/retire");
        let (code, body) = self.call(Method::GET, &path, Bytes::new()).await?;
        if code == StatusCode::OK {
            parse(&body)
        } else {
            Err(unexpected(code, &body))
        }
    }

    /// The same, once a list or an item was checked.
    pub(crate) async fn check_items(
        &self,
        extraction: &str,
        of: &str,
    ) -> Result<Vec<ChecklistStatus>, Failure> {
        let asked = CheckRequest { of: of.to_owned() };
        let body = serde_json::to_vec(&asked).map_err(Failure::not_done)?;
        let path = format!("/v1/extractions/{extraction}/checklists");
        let (code, body) = self.call(Method::POST, &path, body.into()).await?;
        if code == StatusCode::OK {
            parse(&body)
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

    /// Calls whoever is in charge. Who was asked with the token of its predecessor
    /// has done nothing, and is asked again with its own.
    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let mut control = self.control.clone();
        for _ in 0..TAKE_OVERS_MAX {
            let called = self
                .call_by(&control, method.clone(), path, body.clone())
                .await;
            let unknown = matches!(&called, Ok((StatusCode::UNAUTHORIZED, _)));
            let now = if unknown {
                reach(&self.state, &environment)?
            } else {
                control.clone()
            };
            if now == control {
                return called;
            }
            control = now;
        }
        self.call_by(&control, method, path, body).await
    }

    async fn call_by(
        &self,
        control: &ControlFile,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let ControlFile { address, token } = control;
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{address}{path}"))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| Failure::Refused(format!("`{path}` cannot be asked for: {error}")))?;
        let gone = |error: &dyn std::fmt::Display| {
            Failure::NotDone(format!(
                "`banyan serve` at {address} does not answer: {error}. If it has ended, no request \
                 passes until it is started again"
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

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Who orders where no argument says it: the login, unless a key proves who it is.
fn person() -> Option<String> {
    let has_key = environment(KEY).is_some();
    let login = || environment(USER).filter(|name| !has_key && !name.trim().is_empty());
    environment(PERSON).or_else(login)
}

/// Where the API is, and what it is shown.
fn reach(
    state: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<ControlFile, Failure> {
    let Some(key) = environment(KEY) else {
        if environment(CONTROL).is_some() {
            let text = format!("{CONTROL} says where the API is, and needs a personal key: {KEY}");
            return Err(Failure::Refused(text));
        }
        return read(state);
    };
    // Not the key itself: this is printed. The token in its stead would prove another.
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let text =
            format!("{KEY} is empty, or no key: set it to one of `control.keys`, or unset it");
        return Err(Failure::Refused(text));
    }
    let address = match environment(CONTROL) {
        Some(address) => {
            let host = address.strip_prefix("http://").unwrap_or(&address);
            let host = host.trim_end_matches('/');
            let port = host.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
            if !matches!(port, Some(Ok(_))) {
                let text = format!("{CONTROL} is `{address}`, which is no HOST:PORT");
                return Err(Failure::Refused(text));
            }
            host.to_owned()
        }
        None => read(state)?.address,
    };
    Ok(ControlFile {
        address,
        token: key,
    })
}

fn read(state: &Path) -> Result<ControlFile, Failure> {
    let found = control::read(state).map_err(|error| {
        Failure::Refused(format!(
            "{} cannot be read: {error}. With a personal key ({KEY}), {CONTROL}=ADDRESS:PORT does \
             without it",
            state.display()
        ))
    })?;
    found.ok_or_else(|| {
        Failure::Refused(format!(
            "no `banyan serve` runs with the state directory {}. Start it, or name its directory \
             with --state",
            state.display()
        ))
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// Answers one request; its head.
    async fn answer(listener: &TcpListener, answer: &str) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(head).unwrap()
    }

    #[test]
    fn a_key_is_shown_instead_of_the_token() {
        let state = tempfile::tempdir().unwrap();
        let control = ControlFile {
            address: "127.0.0.1:1".to_owned(),
            token: "token".to_owned(),
        };
        control::write(state.path(), &control).unwrap();
        let reached = |key: Option<&str>, at: Option<&str>| {
            let environment = |name: &str| match name {
                KEY => key.map(str::to_owned),
                _ => at.map(str::to_owned),
            };
            let found = reach(state.path(), &environment);
            found.map_err(|error| error.to_string())
        };
        let at = |address: &str, token: &str| {
            Ok(ControlFile {
                address: address.to_owned(),
                token: token.to_owned(),
            })
        };
        assert_eq!(reached(None, None), at("127.0.0.1:1", "token"));
        assert_eq!(reached(Some("key"), None), at("127.0.0.1:1", "key"));
        let elsewhere = Some("http://10.0.0.1:2/");
        assert_eq!(reached(Some("key"), elsewhere), at("10.0.0.1:2", "key"));
        let error = reached(None, elsewhere).unwrap_err();
        assert!(error.contains("needs a personal key"), "{error}");
        for bad in ["", "a b", "secret\n", "sécret"] {
            let error = reached(Some(bad), None).unwrap_err();
            assert!(
                error.contains("no key") && !error.contains("cret"),
                "{error}"
            );
        }
    }

    /// The successor has the address already, and writes its token down between the
    /// client's look and its answer.
    #[tokio::test]
    async fn a_token_that_a_take_over_has_changed_is_read_again() {
        let state = std::env::temp_dir().join(format!("banyan-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&state).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let control = |token: &str| ControlFile {
            address: listener.local_addr().unwrap().to_string(),
            token: token.to_owned(),
        };
        control::write(&state, &control("old")).unwrap();
        let client = Client::find(&state).unwrap();
        control::write(&state, &control("new")).unwrap();
        let serving = async {
            let refusal =
                "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let status = "HTTP/1.1 200 OK\r\ncontent-length: 18\r\nconnection: close\r\n\r\n{\"extractions\":[]}";
            let old = answer(&listener, refusal).await;
            assert!(old.contains("Bearer old"), "{old}");
            let new = answer(&listener, status).await;
            assert!(new.contains("Bearer new"), "{new}");
            // Where the file says the same, the answer stands.
            answer(&listener, refusal).await;
        };
        let asking = async {
            assert!(client.status().await.unwrap().extractions.is_empty());
            let again = Client::find(&state).unwrap();
            assert!(again.status().await.is_err());
        };
        tokio::join!(serving, asking);
        std::fs::remove_dir_all(&state).unwrap();
    }
}
