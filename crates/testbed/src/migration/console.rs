//! Somebody who watches in the console: signed in by the address that `banyan console`
//! prints.

use crate::banyan::CommandLine;
use crate::http_client::{self, Call};
use anyhow::{Context, Result, ensure};
use http::{HeaderValue, header};
use std::time::Duration;

const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// Who watches.
const WATCHER: &str = "demo";

/// A browser that is signed in.
#[derive(Debug)]
pub(super) struct ConsoleReader {
    url: String,
    cookie: HeaderValue,
}

/// An address that lets a browser in, once.
pub(super) async fn entrance(banyan: &CommandLine) -> Result<String> {
    banyan.console(WATCHER).await
}

impl ConsoleReader {
    pub async fn sign_in(banyan: &CommandLine) -> Result<Self> {
        let address = entrance(banyan).await?;
        let (url, path) = split(&address)?;
        let answer = http_client::call(url, &Call::get(path), ANSWER_LIMIT).await?;
        let cookie = answer.headers.get(header::SET_COOKIE);
        let cookie = cookie.context("the console's address did not sign in")?;
        let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
        Ok(Self {
            url: url.to_owned(),
            cookie: HeaderValue::from_str(pair)?,
        })
    }

    /// The text of a page.
    pub async fn page(&self, path: &str) -> Result<String> {
        let call = Call::get(path).header("cookie", self.cookie.clone());
        let answer = http_client::call(&self.url, &call, ANSWER_LIMIT).await?;
        let status = answer.status;
        ensure!(status == 200, "{path}: {status} {}", answer.body_head());
        Ok(text(&String::from_utf8_lossy(&answer.body)))
    }
}

/// `http://host:port` and the path behind it.
fn split(address: &str) -> Result<(&str, &str)> {
    let no_address = || format!("`banyan console` printed no address: {address}");
    let host = address.strip_prefix("http://").with_context(no_address)?;
    let length = host.find('/').with_context(no_address)?;
    Ok(address.split_at("http://".len() + length))
}

/// What a page says, without its tags.
fn text(page: &str) -> String {
    let mut text = String::new();
    let mut is_tag = false;
    for letter in page.chars() {
        match letter {
            '<' => is_tag = true,
            '>' if is_tag => is_tag = false,
            _ if !is_tag => text.push(letter),
            _ => {}
        }
    }
    let entities = [
        ("&#39;", "'"),
        ("&#34;", "\""),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ];
    for (entity, letter) in entities {
        text = text.replace(entity, letter);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_server_and_a_path() {
        let address = "http://127.0.0.1:7600/console/enter/abc";
        let parts = ("http://127.0.0.1:7600", "/console/enter/abc");
        assert_eq!(split(address).unwrap(), parts);
        assert!(split("no address").is_err());
    }

    #[test]
    fn a_page_is_read_as_people_do() {
        let page = "<p>gate <code>`p95`</code>\n failed: the monolith&#39;s, 1 &lt; 2</p>";
        assert_eq!(text(page), "gate `p95` failed: the monolith's, 1 < 2");
    }
}
