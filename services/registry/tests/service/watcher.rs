//! A reader of server-sent events over a connection of its own.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::scene::{KEY, Registry, TIMEOUT};

pub struct Watcher {
    stream: BufReader<TcpStream>,
    /// Of the last event that was read.
    pub last_id: String,
    pub comments: usize,
}

#[derive(Debug, PartialEq)]
pub struct Told {
    pub event: String,
    pub data: Value,
}

impl Watcher {
    /// Watches; `query` is what follows `?`, `last_id` where to go on.
    pub async fn open(registry: Registry, query: &str, last_id: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", registry.port))
            .await
            .unwrap();
        let resume = last_id.map(|id| format!("Last-Event-ID: {id}\r\n"));
        let resume = resume.unwrap_or_default();
        let request = format!(
            "GET /registry/watch?{query} HTTP/1.1\r\nHost: r\r\nX-API-Key: {KEY}\r\n{resume}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut watcher = Self {
            stream: BufReader::new(stream),
            last_id: String::new(),
            comments: 0,
        };
        let mut line = watcher.line().await.unwrap();
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        while !line.is_empty() {
            line = watcher.line().await.unwrap();
        }
        watcher
    }

    /// `None` at the end of the stream.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line);
        let read = timeout(TIMEOUT, read).await.expect("a line in time");
        match read {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
        }
    }

    /// The next event; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Told> {
        let (mut event, mut data) = (String::new(), None);
        loop {
            let line = self.line().await?;
            // Sizes of chunks stand between, which are no fields.
            match line.split_once(':') {
                Some(("", _)) => self.comments += 1,
                Some(("event", value)) => value.trim().clone_into(&mut event),
                Some(("id", value)) => value.trim().clone_into(&mut self.last_id),
                Some(("data", value)) => data = serde_json::from_str(value).ok(),
                _ if line.is_empty() => {
                    if let Some(data) = data.take() {
                        return Some(Told { event, data });
                    }
                }
                _ => {}
            }
        }
    }

    /// The next event and the address of the one it is about.
    pub async fn expect(&mut self, event: &str, url: &str) {
        let told = self.next().await.unwrap();
        assert_eq!(
            (&*told.event, &told.data["url"]),
            (event, &Value::from(url))
        );
    }

    /// The next event, which tells everything: the addresses.
    pub async fn snapshot(&mut self) -> Vec<String> {
        let told = self.next().await.unwrap();
        assert_eq!(told.event, "snapshot", "{told:?}");
        let all = told.data.as_array().unwrap().iter();
        all.map(|one| one["url"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits for a comment.
    pub async fn comment(&mut self) {
        let before = self.comments;
        while self.comments == before {
            let line = self.line().await.expect("the stream goes on");
            self.comments += usize::from(line.starts_with(':'));
        }
    }
}
