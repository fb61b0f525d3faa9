//! A body without a length arrives whole in Django behind gunicorn, to which WSGI
//! would show an empty one: on a route that stays and on one that moves, from
//! memory and from a file.

use crate::stage::Stage;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::fmt::Write as _;
use testbed::raw_http::{self, Answer};
use tokio::net::TcpStream;

/// More than the gateway keeps in memory, less than Django takes for a form.
const LARGE_BYTES: usize = 2 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn chunked_uploads_arrive_whole() -> Result<()> {
    let mut stage = Stage::set(Ok).await?;
    stage.serve(None).await?;
    let gateway = stage.gateway()?;
    for (number, bytes) in [0, LARGE_BYTES].into_iter().enumerate() {
        let party = json!({"name": format!("Chunked {number}"), "kind": "person",
                           "tax_number": format!("C-{number}")});
        let answer = upload(gateway, "/api/parties", &party, bytes).await?;
        ensure!(answer.status == 201, "{answer:?}");
        let made = answer.json();
        ensure!(made["name"] == party["name"], "{made}");
        let contract = json!({"reference": format!("chunked-{number}"), "title": "x",
                              "seller": made["id"], "buyer": made["id"], "land_plot": 1,
                              "price": "1.00"});
        let answer = upload(gateway, "/api/contracts", &contract, bytes).await?;
        ensure!(answer.status == 201, "{answer:?}");
        let made = answer.json();
        ensure!(made["reference"] == contract["reference"], "{made}");
    }
    Ok(())
}

/// Sends a document in chunks, after so many bytes of space.
async fn upload(gateway: &str, path: &str, body: &Value, space: usize) -> Result<Answer> {
    let address = gateway.trim_start_matches("http://");
    let mut text = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let document = format!("{}{body}", " ".repeat(space));
    for part in document.as_bytes().chunks(50_000) {
        let part = std::str::from_utf8(part)?;
        write!(text, "{:x}\r\n{part}\r\n", part.len())?;
    }
    text.push_str("0\r\n\r\n");
    raw_http::talk(TcpStream::connect(address).await?, text.as_bytes()).await
}
