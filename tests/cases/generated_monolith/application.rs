//! An application that nobody wrote: each request is a random transaction over
//! several tables, and a row in the audit log. The monolith and the service are
//! the same program over other databases.

use anyhow::{Context, Result};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use testbed::random_schema::{Clerk, Ended};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
};

/// Whoever answers requests on a path.
struct Desk {
    free: Semaphore,
    clerks: Mutex<Vec<Clerk>>,
}

/// A program that listens. Dropping it ends it.
pub(super) struct Application {
    url: String,
    accepting: JoinHandle<()>,
}

impl Drop for Application {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Application {
    /// Starts one, with the clerks of each path.
    pub async fn start(desks: Vec<(&'static str, Vec<Clerk>)>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let desks: BTreeMap<&str, Desk> = desks
            .into_iter()
            .map(|(path, clerks)| {
                let free = Semaphore::new(clerks.len());
                let clerks = Mutex::new(clerks);
                (path, Desk { free, clerks })
            })
            .collect();
        let desks = Arc::new(desks);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let desks = Arc::clone(&desks);
                connections.spawn(async move { serve(stream, &desks).await });
            }
        });
        Ok(Self { url, accepting })
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Answers the requests of a connection until it ends.
async fn serve(stream: TcpStream, desks: &BTreeMap<&str, Desk>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if stream.read_line(&mut first).await? == 0 {
            return Ok(());
        }
        let mut length = 0;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().context("a length")?;
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let (status, text) = answer(&first, desks).await;
        let answer = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        );
        stream.write_all(answer.as_bytes()).await?;
    }
}

async fn answer(first: &str, desks: &BTreeMap<&str, Desk>) -> (u16, String) {
    let mut words = first.split_whitespace();
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let Some(desk) = desks.get(path.trim_end_matches('/')) else {
        return match path {
            "/health" => (200, "well".to_owned()),
            _ => (404, "no such path".to_owned()),
        };
    };
    let Ok(_permit) = desk.free.acquire().await else {
        return (500, "closing".to_owned());
    };
    let clerk = desk
        .clerks
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .pop();
    let Some(mut clerk) = clerk else {
        return (500, "nobody is there".to_owned());
    };
    let answer = match method {
        "GET" | "HEAD" => read(&clerk).await,
        _ => write(&mut clerk).await,
    };
    desk.clerks
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(clerk);
    answer
}

async fn read(clerk: &Clerk) -> (u16, String) {
    let query = format!("select count(*)::text from {}", clerk.table());
    match clerk.client().query_one(&query, &[]).await {
        Ok(row) => (200, row.get(0)),
        Err(error) => (500, error.to_string()),
    }
}

async fn write(clerk: &mut Clerk) -> (u16, String) {
    match clerk.transact().await {
        Ok((Some(id), Ended::Acknowledged)) => (201, id),
        Ok((Some(id), Ended::Refused { by_fence: false })) => (409, id),
        Ok((_, Ended::Refused { .. })) => (503, "fenced".to_owned()),
        Ok((None, Ended::Acknowledged)) => (200, String::new()),
        Err(error) => (500, format!("{error:#}")),
    }
}
