//! A process that stops, or is replaced, lets requests end for as long as the plan's grace;
//! what it cuts off then, it names, and a second signal ends it at once.

use anyhow::{Context, Result, ensure};
use std::{fs, path::Path, sync::Arc, time::Duration};
use testbed::{
    banyan::{CommandLine, Plan, Serve},
    deadline,
    directory::PrivateDirectory,
    ports,
    process::{Process, Signal},
    raw_http,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

/// Shorter than the graces that must not be waited for.
const LIMIT: Duration = Duration::from_secs(40);

/// For ever, as far as this case goes.
const LONG: &str = "1h";

#[tokio::test(flavor = "multi_thread")]
async fn ends_within_its_grace() -> Result<()> {
    let upstream = Upstream::start().await?;
    let directory = PrivateDirectory::new()?;
    let banyan = command_line(&upstream, directory.path())?;
    let logs = directory.path().join("logs");

    // Longer than any clock of ours, shorter than its grace.
    let mut first = banyan.serve(&logs).await?;
    let slow = upstream.ask(&first, "/orders/slow").await?;
    replan(&banyan, LONG, "1s")?;
    let mut second = banyan.take_over(&logs).await?;
    logged(second.process(), "a successor accepts", 1).await?;
    ensure!(first.process().exited().is_none(), "it did not wait");
    // Whoever comes after it knows of it, also where its successor was killed.
    follows(&banyan, first.process().pid()).await?;
    second.process().kill().await;
    let mut second = banyan.serve(&logs).await?;
    follows(&banyan, first.process().pid()).await?;
    upstream.answer.notify_one();
    ensure!(slow.await??.status == 200, "it was cut off");
    ended(first.process()).await?;
    ensure!(count(second.process(), "cut off")? == 0, "what was?");
    logged(second.process(), "no earlier process serves any more", 1).await?;
    let predecessors = banyan.status().await?.predecessors;
    ensure!(predecessors.is_empty(), "{predecessors:?}");

    // Longer than its grace.
    let hanging = upstream.ask(&second, "/orders/slow").await?;
    replan(&banyan, "1s", LONG)?;
    let mut third = banyan.take_over(&logs).await?;
    ensure!(hanging.await??.status == 0, "it was answered");
    ended(second.process()).await?;
    logged(third.process(), "orders /orders/*: 1 request", 1).await?;
    logged(third.process(), "gateway.grace", 1).await?;

    // It would wait for an hour.
    let hanging = upstream.ask(&third, "/orders/slow").await?;
    third.process().signal(Signal::Term);
    logged(third.process(), "a second signal ends them now", 1).await?;
    ensure!(third.process().exited().is_none(), "it did not wait");
    third.process().signal(Signal::Term);
    ended(third.process()).await?;
    ensure!(hanging.await??.status == 0, "it was answered");
    logged(third.process(), "orders /orders/*: 1 request", 2).await?;

    // A stream that nobody ends, and nothing else: with another grace than the last one's.
    let mut fourth = banyan.serve(&logs).await?;
    let address = fourth.gateway().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(address).await?;
    let asking = b"GET /orders/events HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(asking).await?;
    upstream.came.notified().await;
    upstream.answer.notify_one();
    let mut begun = Vec::new();
    while !begun.ends_with(b"\r\n\r\n") {
        ensure!(stream.read_buf(&mut begun).await? > 0, "no answer");
    }
    fourth.process().signal(Signal::Term);
    ended(fourth.process()).await?;
    logged(fourth.process(), "only streams were left", 1).await
}

/// A plan that moves nothing.
fn command_line(upstream: &Upstream, directory: &Path) -> Result<CommandLine> {
    let (listen, control) = (ports::free()?, ports::free()?);
    let url = &upstream.url;
    let text = format!(
        "monolith: {{ url: \"{url}\" }}\nservices: {{ orders: {{ url: \"{url}\" }} }}\n\
         gateway:\n  listen: \"127.0.0.1:{listen}\"\n  workers: 2\n  first-byte: {LONG}\n  \
         grace: {LONG}\n  \
         routes: {{ orders: {{ to: orders, path: /orders/* }} }}\n\
         control: {{ listen: \"127.0.0.1:{control}\" }}\nextractions: {{}}\n"
    );
    let file = directory.join("plan.yaml");
    fs::write(&file, text)?;
    CommandLine::new(&Plan::read(&file)?, &directory.join("home"))
}

/// The next process has another grace.
fn replan(banyan: &CommandLine, from: &str, to: &str) -> Result<()> {
    let plan = fs::read_to_string(banyan.plan())?;
    let (from, to) = (format!("grace: {from}\n"), format!("grace: {to}\n"));
    ensure!(plan.contains(&from), "the plan has no `{from}`");
    Ok(fs::write(banyan.plan(), plan.replacen(&from, &to, 1))?)
}

async fn ended(process: &mut Process) -> Result<()> {
    let exit = process.wait(LIMIT).await?;
    ensure!(
        exit.code == 0,
        "ended with {exit:?}; {}",
        process.log_tail()
    );
    Ok(())
}

/// Waits until `status` says that this process still answers a request.
async fn follows(banyan: &CommandLine, pid: u32) -> Result<()> {
    deadline::until("an earlier process in `status`", LIMIT, async || {
        let predecessors = banyan.status().await?.predecessors;
        let found = predecessors.iter().find(|found| found.pid == pid);
        Ok(found.filter(|found| found.requests == 1).map(|_| ()))
    })
    .await
}

/// Waits until the log, which all share, says this so many times.
async fn logged(process: &Process, text: &str, times: usize) -> Result<()> {
    let what = format!("`{text}`, {times} times in the log");
    let logged = deadline::poll(&what, LIMIT, || {
        Ok((count(process, text)? >= times).then_some(()))
    });
    logged.await.with_context(|| process.log_tail())
}

fn count(process: &Process, text: &str) -> Result<usize> {
    Ok(fs::read_to_string(process.log())?.matches(text).count())
}

/// Answers each request when it is told to, and says when one has come.
struct Upstream {
    url: String,
    came: Arc<Notify>,
    answer: Arc<Notify>,
}

impl Upstream {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (came, answer) = (Arc::<Notify>::default(), Arc::<Notify>::default());
        let (says, waits) = (Arc::clone(&came), Arc::clone(&answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&says), Arc::clone(&waits)));
            }
        });
        Ok(Self { url, came, answer })
    }

    /// Asks through a gateway; returns once the request is here.
    async fn ask(&self, serve: &Serve, path: &str) -> Result<JoinHandle<Result<raw_http::Answer>>> {
        let address = serve.gateway().trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(address).await?;
        let text = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let asking = tokio::spawn(async move { raw_http::talk(stream, text.as_bytes()).await });
        let came = tokio::time::timeout(LIMIT, self.came.notified()).await;
        came.context("the request did not come")?;
        Ok(asking)
    }
}

async fn serve(mut stream: TcpStream, says: Arc<Notify>, waits: Arc<Notify>) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(stream.read_buf(&mut head).await? > 0, "no request");
    }
    says.notify_one();
    tokio::select! {
        () = waits.notified() => {}
        _ = stream.read_u8() => return Ok(()),
    }
    if head.starts_with(b"GET /orders/events") {
        let events = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        stream.write_all(events).await?;
        let _ = stream.read_u8().await;
        return Ok(());
    }
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    Ok(stream.write_all(answer).await?)
}
