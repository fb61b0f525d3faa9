//! Each way in which TLS can be wrong is said as what it is, for sessions and
//! for replication connections alike.

use crate::tls::file;
use anyhow::{Context, Result, bail, ensure};
use mover::{
    MoverError,
    database::{replication::ReplicationConnection, session::Session},
};
use plan::DatabaseUrl;
use protocol::Side;
use testbed::{
    certificates::{Authority, Identity, self_signed_server},
    cluster::{Cluster, Options, Rights, ServerTls},
    directory::PrivateDirectory,
};

const ROLE: &str = "banyan_mover";

/// A server, the files that clients may have, and what is asked of it.
struct Bed {
    cluster: Cluster,
    authority: Authority,
    directory: PrivateDirectory,
}

impl Bed {
    async fn new() -> Result<Self> {
        let directory = PrivateDirectory::new()?;
        let mut cluster = Cluster::create(&directory, "server", &Options::fast()).await?;
        cluster.create_role(ROLE, Rights::Replication).await?;
        cluster.create_database("data", ROLE).await?;
        Ok(Self {
            cluster,
            authority: Authority::new()?,
            directory,
        })
    }

    async fn shows(&mut self, identity: Identity) -> Result<()> {
        self.speaks(ServerTls::of(identity)).await
    }

    async fn speaks(&mut self, tls: ServerTls) -> Result<()> {
        self.cluster.restart(&Options::fast().tls(tls)).await
    }

    fn file(&self, name: &str, text: &str) -> Result<String> {
        Ok(file(self.directory.path(), name, text)?
            .display()
            .to_string())
    }

    /// The file of the authority.
    fn root(&self) -> Result<String> {
        self.file("root.crt", &self.authority.certificate())
    }

    fn address(&self, query: &str) -> Result<DatabaseUrl> {
        let url = self.cluster.url(ROLE, "data")?;
        let url = url.replace("@127.0.0.1", "@localhost");
        DatabaseUrl::parse(&format!("{url}?{query}")).map_err(anyhow::Error::msg)
    }

    /// Lets in, and says whether through TLS.
    async fn lets_in(&self, query: &str) -> Result<bool> {
        let address = self.address(query)?;
        let session = Session::open(Side::Monolith, &address)
            .await
            .with_context(|| query.to_owned())?;
        let ssl = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
        let row = session.query_one(ssl, &[]).await?;
        let mut replication = ReplicationConnection::open(Side::Monolith, &address)
            .await
            .with_context(|| format!("replication: {query}"))?;
        let rows = replication.command(ssl).await?;
        let streamed = rows[0][0].as_deref() == Some(b"t");
        let encrypted: bool = row.get(0);
        ensure!(encrypted == streamed, "{query}: one of two is encrypted");
        Ok(encrypted)
    }

    /// Refuses, in words that hold these.
    async fn refuses(&self, query: &str, words: &[&str]) -> Result<()> {
        let address = self.address(query)?;
        let session = Session::open(Side::Monolith, &address).await.err();
        let replication = ReplicationConnection::open(Side::Monolith, &address)
            .await
            .err();
        for (what, error) in [("session", session), ("replication", replication)] {
            let Some(error @ MoverError::Connect { .. }) = error else {
                bail!("{query}: {what}: {error:?}");
            };
            let said = error.to_string();
            for word in words {
                ensure!(said.contains(word), "{query}: {what}: {said}");
            }
            ensure!(!said.contains(address.expose_password()), "{said}");
        }
        Ok(())
    }
}

#[tokio::test]
async fn the_server_s_certificate() -> Result<()> {
    let mut bed = Bed::new().await?;
    let root = bed.root()?;
    let full = format!("sslmode=verify-full&sslrootcert={root}");
    let authority = format!("sslmode=verify-ca&sslrootcert={root}");

    // A server without TLS.
    ensure!(!bed.lets_in("").await?);
    ensure!(!bed.lets_in("sslmode=allow").await?);
    bed.refuses("sslmode=require", &["does not speak TLS", "ssl = on"])
        .await?;
    bed.refuses(&full, &["does not speak TLS"]).await?;
    bed.refuses("channel_binding=require", &["channel_binding=require"])
        .await?;

    bed.shows(bed.authority.server(&["localhost", "127.0.0.1"])?)
        .await?;
    for query in [
        "",
        "sslmode=allow",
        "sslmode=require",
        "sslmode=require&channel_binding=require",
        "sslmode=require&channel_binding=disable",
        &authority,
        &full,
        &format!("{full}&channel_binding=require&options=-c%20work_mem%3D1MB"),
    ] {
        ensure!(bed.lets_in(query).await?, "{query}");
    }
    bed.refuses(
        "sslmode=disable",
        &["no pg_hba.conf entry", "sslmode=require", "hostssl"],
    )
    .await?;
    bed.refuses(
        "sslmode=verify-ca&sslrootcert=/nowhere/root.crt",
        &["sslrootcert /nowhere/root.crt", "PEM"],
    )
    .await?;
    let empty = bed.file("empty.crt", "no certificate")?;
    bed.refuses(
        &format!("sslmode=verify-ca&sslrootcert={empty}"),
        &["has no certificate in it"],
    )
    .await?;
    let stranger = bed.file("stranger.crt", &Authority::new()?.certificate())?;
    for mode in ["verify-full", "verify-ca", "require", "prefer"] {
        bed.refuses(
            &format!("sslmode={mode}&sslrootcert={stranger}"),
            &["an authority that sslrootcert does not have"],
        )
        .await?;
    }

    bed.shows(bed.authority.server(&["db.example.org", "10.1.2.3"])?)
        .await?;
    bed.refuses(
        &full,
        &["made out to db.example.org, 10.1.2.3, not to localhost"],
    )
    .await?;
    ensure!(bed.lets_in(&authority).await?);

    bed.shows(bed.authority.expired_server(&["localhost"])?)
        .await?;
    bed.refuses(&full, &["has expired", "Renew it"]).await?;
    bed.refuses(&authority, &["has expired"]).await?;
    ensure!(bed.lets_in("sslmode=require").await?);
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_is_its_own_authority() -> Result<()> {
    let mut bed = Bed::new().await?;
    let identity = self_signed_server(&["localhost"])?;
    let root = bed.file("server.crt", &identity.certificate)?;
    bed.shows(identity).await?;
    for mode in ["verify-ca", "verify-full"] {
        let query = format!("sslmode={mode}&sslrootcert={root}");
        ensure!(bed.lets_in(&query).await?, "{mode}");
    }
    // Another one of that name is not believed for it.
    bed.shows(self_signed_server(&["localhost"])?).await?;
    bed.refuses(
        &format!("sslmode=verify-ca&sslrootcert={root}"),
        &["certificate"],
    )
    .await
}

#[tokio::test]
async fn the_client_s_certificate() -> Result<()> {
    let mut bed = Bed::new().await?;
    let server = bed.authority.server(&["localhost"])?;
    bed.speaks(ServerTls {
        identity: server,
        clients: Some(bed.authority.certificate()),
        login: "cert",
    })
    .await?;
    let stranger = Authority::new()?;
    let write = |name: &str, identity: &Identity| -> Result<String> {
        let certificate = bed.file(&format!("{name}.crt"), &identity.certificate)?;
        let key = bed.file(&format!("{name}.key"), &identity.key)?;
        Ok(format!(
            "sslmode=require&sslcert={certificate}&sslkey={key}"
        ))
    };
    let ours = write("ours", &bed.authority.client(ROLE)?)?;
    let other = write("other", &bed.authority.client("somebody")?)?;
    let unknown = write("unknown", &stranger.client(ROLE)?)?;
    ensure!(bed.lets_in(&ours).await?);
    bed.refuses(
        "sslmode=require",
        &["client certificate", "sslcert and sslkey"],
    )
    .await?;
    bed.refuses(&other, &["common name is the role"]).await?;
    bed.refuses(&unknown, &["ended TLS", "ssl_ca_file"]).await?;
    let mixed = format!(
        "sslmode=require&sslcert={0}/ours.crt&sslkey={0}/other.key",
        bed.directory.path().display()
    );
    bed.refuses(&mixed, &["does not fit sslcert"]).await
}
