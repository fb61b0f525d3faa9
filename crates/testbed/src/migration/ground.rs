//! What stands before Banyan comes: the scene of contracts, the other two services, and
//! the proxies that make services worse.

use crate::banyan::Plan;
use crate::binaries;
use crate::cluster::Rights;
use crate::document_service::DocumentService;
use crate::faulty_proxy::FaultyProxy;
use crate::identity::IdentityPlace;
use crate::ports;
use crate::scene::{self, MOVER_ROLE, Scene};
use crate::service::Service;
use anyhow::Result;

const DOCUMENTS_DATABASE: &str = "documents";
const IDENTITY_DATABASE: &str = "identity";

/// The ground, with everything running. What was started last ends first.
#[derive(Debug)]
pub struct Ground {
    /// Between the gateway and contracts.
    pub contracts_proxy: FaultyProxy,
    /// Between the gateway and documents.
    pub documents_proxy: FaultyProxy,
    /// Where documents go to.
    pub documents: DocumentService,
    /// Where users go to.
    pub identity: Service,
    /// The monolith and contracts.
    pub scene: Scene,
}

impl Ground {
    /// Sets it; `tell` hears what is being done.
    pub async fn set(settings: &scene::Settings, tell: &(dyn Fn(&str) + Sync)) -> Result<Self> {
        let place = IdentityPlace::free()?;
        let settings = scene::Settings {
            environment: place.monolith_environment(),
            ..settings.clone()
        };
        let mut scene = Scene::set(&settings, tell).await?;
        let cluster = &mut scene.contracts_cluster;
        for name in [DOCUMENTS_DATABASE, IDENTITY_DATABASE] {
            cluster.create_role(name, Rights::Plain).await?;
            cluster.create_database(name, name).await?;
        }
        tell("documents service");
        let database = cluster.url(DOCUMENTS_DATABASE, DOCUMENTS_DATABASE)?;
        let documents =
            DocumentService::start(&database, scene.service.url(), scene.logs()).await?;
        tell("identity service");
        let cluster = &scene.contracts_cluster;
        let database = cluster.url(IDENTITY_DATABASE, IDENTITY_DATABASE)?;
        let identity = place
            .start(&database, scene.web.url(), scene.logs())
            .await?;
        Ok(Self {
            contracts_proxy: FaultyProxy::before(scene.service.url()).await?,
            documents_proxy: FaultyProxy::before(documents.url()).await?,
            documents,
            identity,
            scene,
        })
    }

    /// The documents service's database, as the mover sees it.
    pub fn documents_database(&self) -> Result<String> {
        let cluster = &self.scene.contracts_cluster;
        cluster.url(MOVER_ROLE, DOCUMENTS_DATABASE)
    }

    /// The identity service's database, as the mover sees it.
    pub fn identity_database(&self) -> Result<String> {
        let cluster = &self.scene.contracts_cluster;
        cluster.url(MOVER_ROLE, IDENTITY_DATABASE)
    }

    /// The example's plan for what runs here.
    pub fn plan(&self) -> Result<Plan> {
        let scene = &self.scene;
        let listen = || ports::free().map(|port| format!("127.0.0.1:{port}"));
        let file = binaries::repository().join("examples/three-extractions/banyan.yaml");
        Ok(Plan::read(&file)?
            .set("MONOLITH_URL", scene.web.url())
            .set("MONOLITH_DATABASE_URL", &scene.monolith_database()?)
            .set("CONTRACTS_URL", self.contracts_proxy.url())
            .set("CONTRACTS_DATABASE_URL", &scene.contracts_database()?)
            .set("DOCUMENTS_URL", self.documents_proxy.url())
            .set("DOCUMENTS_DATABASE_URL", &self.documents_database()?)
            .set("IDENTITY_URL", self.identity.url())
            .set("IDENTITY_DATABASE_URL", &self.identity_database()?)
            .set("GATEWAY_LISTEN", &listen()?)
            .set("CONTROL_LISTEN", &listen()?))
    }
}
