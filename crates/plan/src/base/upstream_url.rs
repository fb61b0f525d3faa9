//! Where requests are sent.

use std::{fmt, path::PathBuf};
use url::Url;

/// An HTTP upstream: `http://host:port`, nothing behind it, or `unix:/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamUrl {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The Unix socket to connect to instead; host and port then only name it.
    pub socket: Option<PathBuf>,
}

impl UpstreamUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!("`{text}` is no upstream: {why}; write http://host:port or unix:/path")
        };
        let path = text
            .strip_prefix("http+")
            .unwrap_or(text)
            .strip_prefix("unix:");
        if let Some(path) = path {
            if !path.starts_with('/') {
                return Err(wrong("the path of its socket is not absolute"));
            }
            return Ok(Self {
                host: "localhost".to_owned(),
                port: 80,
                socket: Some(path.into()),
            });
        }
        let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        if url.scheme() != "http" {
            return Err(wrong("only http is spoken to upstreams so far"));
        }
        if url.path() != "/" || url.query().is_some() || !url.username().is_empty() {
            return Err(wrong("it has more than a host and a port"));
        }
        let host = url
            .host_str()
            .ok_or_else(|| wrong("it has no host"))?
            .to_owned();
        let port = url
            .port_or_known_default()
            .ok_or_else(|| wrong("it has no port"))?;
        Ok(Self {
            host,
            port,
            socket: None,
        })
    }

    /// `host:port`.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(path) => write!(f, "unix:{}", path.display()),
            None => write!(f, "http://{}:{}", self.host, self.port),
        }
    }
}
