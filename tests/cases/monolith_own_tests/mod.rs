//! The monolith's own tests pass: what the story moves is a sound Django
//! project by its own standards.

use anyhow::Result;
use testbed::cluster::{Cluster, Options, Rights};
use testbed::directory::PrivateDirectory;
use testbed::monolith::Project;
use testbed::scene::{MONOLITH_DATABASE, MONOLITH_ROLE};

#[tokio::test(flavor = "multi_thread")]
async fn monolith_own_tests() -> Result<()> {
    let directory = PrivateDirectory::new()?;
    let mut cluster = Cluster::create(&directory, "monolith", &Options::fast()).await?;
    // Django makes a database of its own to test in.
    cluster
        .create_role(MONOLITH_ROLE, Rights::CreateDatabases)
        .await?;
    cluster
        .create_database(MONOLITH_DATABASE, MONOLITH_ROLE)
        .await?;
    let database = cluster.url(MONOLITH_ROLE, MONOLITH_DATABASE)?;
    let project = Project::new(database, &directory.path().join("logs")).await?;
    println!("{}", project.manage(&["test"]).await?);
    Ok(())
}
