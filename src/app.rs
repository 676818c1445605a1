//! The composition root: the only place that sees every room. Starts a whole daemon as a value, and stops it.

mod bot;
mod doctor;
mod ground;
mod identity;
mod keys;
mod login;
mod migrate;
mod operations;
mod serve;
mod settings;
mod signals;
mod staff;
#[cfg(feature = "sandbox")]
mod standalone;
mod start_error;
mod way_out;
mod wiring;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use secrecy::SecretString;
use switchyard_actors::model::{IdSource, NodeId};
use switchyard_actors::ports::{Clock, Login, PlatformConnector, Rng};
use switchyard_actors::supervision::ChildPath;
use switchyard_actors::tree::{Assignments, Deps, Failpoints, Links, Root, SuperviseError};
use tokio::runtime::Handle;

use self::ground::Ground;
use self::keys::KeysActor;
pub use self::start_error::StartError;
use crate::adapters::discord::{DiscordConnector, DiscordLogin};
use crate::adapters::telegram::{
    AuthKeySource, ClientExchange, SandboxKeys, TelegramConnector, TelegramLogin,
};
use crate::adapters::{Connectors, Logins, OnThreads};
use crate::cli::{self, Command, Console, ExitCode};
use crate::clock::SystemClock;
use crate::config::{Config, SandboxMode};
use crate::crypto::{Keyring, SystemRng, UploadKey, Vault};
use crate::http::{self, HttpActor, HttpArgs, HttpHandle, HttpState, ServerTls, Services, TlsError};
use crate::services::events::Events;
use crate::services::metrics::Metrics;
use crate::services::operator::OperatorAccess;
use crate::services::sandbox::{self, SandboxSeed};
use crate::services::sealed::Uploads;
use crate::services::sensitive::Sensitive;
use crate::store::{DataDir, MasterKeyError, ProviderSecret, Store, StoreOwner, StoreParts};
use crate::threads;

/// How long a sandbox may take to say what it seeded.
const ATTACH_TIMEOUT: Duration = Duration::from_secs(10);

/// What a daemon that started has to tell.
#[derive(Clone, Debug)]
pub struct Started {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where metrics are served, if they are.
    pub metrics: Option<SocketAddr>,
    /// Whether the sandbox is embedded, and what was seeded from it.
    pub sandbox: Option<SandboxSeed>,
}

/// How a daemon ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Children that were cut short.
    pub unfinished: Vec<ChildPath>,
}

#[cfg(feature = "sandbox")]
type Embedded = switchyard_sandbox::Sandbox;
#[cfg(not(feature = "sandbox"))]
type Embedded = std::convert::Infallible;

/// Carries out a command on an actix system of its own: actors on this thread, platforms' clients on others.
#[must_use]
pub fn run(command: &Command, console: &mut Console) -> ExitCode {
    let ended = threads::run_system(dispatch(command, console));
    match ended {
        Ok(code) => code,
        Err(error) => {
            console.complain(format!("no threads: {error}"));
            ExitCode::Software
        }
    }
}

async fn dispatch(command: &Command, console: &mut Console) -> ExitCode {
    match command {
        Command::Serve(args) => Box::pin(serve::run(args, console)).await,
        #[cfg(feature = "sandbox")]
        Command::Sandbox(args) => standalone::run(args, console).await,
        #[cfg(not(feature = "sandbox"))]
        Command::Sandbox(_) => {
            console.complain("this build has no sandbox");
            ExitCode::Usage
        }
        Command::Migrate(args) => migrate::run(args, console).await,
        Command::Doctor(args) => Box::pin(doctor::run(args, console)).await,
        Command::Login(args) => Box::pin(login::run(args, console)).await,
        asking => cli::ask(asking, console).await.unwrap_or(ExitCode::Usage),
    }
}

impl From<MasterKeyError> for StartError {
    fn from(error: MasterKeyError) -> Self {
        match error {
            MasterKeyError::Store(error) => Self::Store(error),
            other => Self::MasterKey(other),
        }
    }
}

/// A running daemon.
pub struct App {
    root: Root,
    store: Store,
    http: Arc<HttpState>,
    data_dir: DataDir,
    embedded: Option<Embedded>,
    events: Arc<Events>,
    started: Started,
    settled: Arc<AtomicBool>,
    first_connect_wait: Duration,
    drain_deadline: Duration,
}

impl App {
    /// Starts a daemon on this thread's actix system. `failpoints` as in `SWITCHYARD_FAILPOINTS`.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub async fn start(config: Config, failpoints: &str) -> Result<Self, StartError> {
        let failpoints = arm(failpoints, &config)?;
        let (clock, rng): (Arc<dyn Clock>, Arc<dyn Rng>) = (Arc::new(SystemClock), Arc::new(SystemRng));
        let ids = IdSource::new(Arc::clone(&clock), Arc::clone(&rng));
        let sources = settings::keys(&config, &config.data_dir);
        let ground = Ground::take(&config, &sources, (&clock, &rng, &ids)).await?;
        let Ground { data_dir, keyring, embedded, http, server, early, address, metrics } = ground;

        let upload_key = UploadKey::of(&keyring);
        let vault = keys::vault(&config, keyring);
        let parts = (Arc::clone(&vault), Arc::clone(&clock), ids.clone(), data_dir.node());
        let (store, seed) = open_store(&config, parts, embedded.as_ref()).await?;
        let plans = Arc::new(settings::plans(&config).map_err(StartError::Plans)?);

        let token = store.provider_secret(ProviderSecret::BotToken).await.map_err(StartError::Store)?;
        let bot =
            bot::BotServices::new(&config, seed.as_ref(), (&store, token.as_ref()), (&clock, &rng, &ids))?;
        let (connector, login) = connectors(&config, seed.as_ref(), &store, &clock, &rng)?;
        let deps = Deps {
            store: Arc::new(store.clone()),
            connector,
            clock: Arc::clone(&clock),
            rng: Arc::clone(&rng),
            ids: ids.clone(),
            config: Arc::new(settings::tree(&config, plans.quotas())),
            failpoints: Arc::new(failpoints),
            links: Arc::new(Links::default()),
            assignments: Arc::new(Assignments::default()),
            post: bot.post.clone(),
        };
        let runtime = settings::runtime(&config, rng.next_u64());
        let root = Root::build(deps, settings::supervision(&config), runtime)?;
        root.fill().await?;
        let settled = Arc::new(AtomicBool::new(false));
        let keeper = keys::keeper(&config, &store, &vault, sources, embedded.is_some());
        root.add::<KeysActor>("keys", Arc::clone(&keeper))?;
        let kit = identity::Kit::new(&config, store.clone(), vault.clone(), clock.clone(), rng).await?;
        let parts = wiring::Parts {
            operator: root.operator(),
            store: store.clone(),
            login,
            uploads: uploads(&config, seed.as_ref(), upload_key),
            clock,
            ids,
            staff: staff::wire(&config, &kit, vault),
            kit,
            plans,
            keys: keeper,
            bot,
        };
        let (services, operations) = wiring::services(&config, seed.as_ref(), parts, Arc::clone(&settled));
        let events = operations.take_their_places(&root)?;
        root.add::<HttpActor>("http", server)?;
        // From here on the tree's own server takes the socket; what comes between waits in its backlog.
        early.stop().await;
        root.start().await;
        take_calls(&http, &root, services);
        Ok(Self {
            root,
            store,
            http,
            data_dir,
            embedded,
            events,
            started: Started { listen: address, metrics, sandbox: seed },
            settled,
            first_connect_wait: config.supervision.first_connect_wait,
            drain_deadline: config.supervision.drain_deadline,
        })
    }

    /// Waits for the sessions' first attempts to connect, within `supervision.first_connect_wait`; from then on the
    /// daemon calls itself ready: what is written at a source is seen.
    pub async fn settle(&self) {
        match self.root.connected(self.first_connect_wait).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!("some sessions are still connecting; they go on by themselves"),
            Err(error) => tracing::warn!(%error, "accounts cannot be read"),
        }
        self.settled.store(true, Ordering::Release);
    }

    /// What it has to tell.
    #[must_use]
    pub const fn started(&self) -> &Started {
        &self.started
    }

    /// Ends, with the error, when the store cannot be used any more.
    pub fn store_lost(&self) -> impl Future<Output = String> + Send + use<> {
        self.root.store_lost()
    }

    /// Goes by the limits of supervision of another configuration from now on; what runs is not disturbed.
    ///
    /// # Errors
    /// [`SuperviseError`]; then nothing is changed.
    pub fn supervise(&self, config: &Config) -> Result<(), SuperviseError> {
        self.root.operator().supervise(settings::supervision(config))
    }

    /// Ends everything at once, from a second signal.
    pub fn kill(&self) {
        self.root.kill();
    }

    /// Drains: HTTP first, then sessions, pairs, queues and the rest, then the store; the embedded sandbox last.
    pub async fn stop(&self) -> Ended {
        self.http.drain();
        self.events.close();
        let report = self.root.drain(self.drain_deadline).await;
        self.store.shut_down().await;
        Ended { unfinished: report.unfinished }
    }

    /// Lets go of what is left after [`App::stop`]: files for the command line, the embedded sandbox.
    pub async fn close(self) {
        if let Err(error) = OperatorAccess::withdraw(self.data_dir.path()) {
            tracing::warn!(%error, "the operator's token was not removed");
        }
        close_embedded(self.embedded).await;
    }
}

/// From now on callers are answered, and scrapers too.
fn take_calls(http: &HttpState, root: &Root, services: Services) {
    let (metrics, operator) = (Metrics::new(), root.operator());
    metrics.watch(root.tree(), move || operator.alerts_lost(), Arc::clone(&services.admin));
    http.measure(Arc::new(metrics));
    http.serve_with(services);
}

/// What the server knows before there is a store: who the operator is, and whether it speaks TLS.
fn surface(
    config: &Config,
    access: &OperatorAccess,
    clock: &Arc<dyn Clock>,
    rng: &Arc<dyn Rng>,
) -> Result<Arc<HttpState>, TlsError> {
    let http = HttpState::migrating(access, Arc::clone(clock), Arc::clone(rng));
    if let Some(tls) = ServerTls::load(&config.http.tls)? {
        http.speak_tls(tls);
    }
    Ok(http)
}

fn io(what: &'static str, error: impl ToString) -> StartError {
    StartError::Io { what, error: error.to_string() }
}

/// Opens and migrates the store, and makes what the sandbox seeded.
async fn open_store(
    config: &Config,
    (vault, clock, ids, node): (Arc<Vault>, Arc<dyn Clock>, IdSource, NodeId),
    embedded: Option<&Embedded>,
) -> Result<(Store, Option<SandboxSeed>), StartError> {
    let parts = StoreParts { vault, clock: Arc::clone(&clock), ids, node };
    let store = Store::open(settings::store(config), parts).await?;
    store.migrate().await?;
    store.settle_master_key().await?;
    let seed = claim(config, &store, embedded, clock.as_ref()).await?;
    publish_sandbox(config, seed.as_ref())?;
    Ok((store, seed))
}

/// Tells the doctor where the sandbox inside this daemon is.
fn publish_sandbox(config: &Config, seed: Option<&SandboxSeed>) -> Result<(), StartError> {
    match (&config.sandbox.mode, seed) {
        (SandboxMode::Embedded, Some(seed)) => {
            OperatorAccess::publish_sandbox(&config.data_dir, &seed.control)
                .map_err(|error| io("the sandbox's address cannot be written", error))
        }
        _ => Ok(()),
    }
}

/// Answers 503 on the API's socket until the tree's own server takes over: while the store is migrated.
fn serve_early(args: &HttpArgs) -> std::io::Result<HttpHandle> {
    let server = http::serve(args.listener.try_clone()?, Arc::clone(&args.state), &args.config)?;
    let handle = server.handle();
    tokio::spawn(async move {
        if let Err(error) = server.run().await {
            tracing::warn!(%error, "early HTTP server failed");
        }
    });
    Ok(handle)
}

fn arm(failpoints: &str, config: &Config) -> Result<Failpoints, StartError> {
    let armed = Failpoints::parse(failpoints)?;
    if !armed.is_empty() && config.sandbox.mode == SandboxMode::Off {
        return Err(StartError::FailpointsOutsideSandbox);
    }
    Ok(armed)
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let socket = TcpListener::bind(address).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    let bound = socket.local_addr().map_err(failed)?;
    Ok((socket, bound))
}

#[cfg(feature = "sandbox")]
async fn embed(config: &Config, keyring: &Keyring) -> Result<Option<Embedded>, StartError> {
    use switchyard_sandbox::{Sandbox, SandboxConfig, WorldKey};

    if config.sandbox.mode != SandboxMode::Embedded {
        return Ok(None);
    }
    let sandbox = Sandbox::start(SandboxConfig {
        data_dir: Some(config.data_dir.join("sandbox")),
        world_key: Some(WorldKey::new(*keyring.derive("sandbox world"))),
        ..standalone::config(&config.sandbox)
    });
    Ok(Some(sandbox.await?))
}

#[cfg(not(feature = "sandbox"))]
async fn embed(config: &Config, _keyring: &Keyring) -> Result<Option<Embedded>, StartError> {
    std::future::ready(match config.sandbox.mode {
        SandboxMode::Embedded => Err(StartError::NoSandbox),
        SandboxMode::Off | SandboxMode::Attached(_) => Ok(None),
    })
    .await
}

#[cfg(feature = "sandbox")]
fn control_url(embedded: &Embedded) -> String {
    embedded.control_url()
}

#[cfg(not(feature = "sandbox"))]
fn control_url(embedded: &Embedded) -> String {
    match *embedded {}
}

#[cfg(feature = "sandbox")]
async fn close_embedded(embedded: Option<Embedded>) {
    if let Some(sandbox) = embedded {
        sandbox.stop().await;
    }
}

#[cfg(not(feature = "sandbox"))]
async fn close_embedded(_embedded: Option<Embedded>) {
    std::future::ready(()).await;
}

/// Claims the store for this kind of daemon and, in the sandbox, makes what the sandbox seeded.
async fn claim(
    config: &Config,
    store: &Store,
    embedded: Option<&Embedded>,
    clock: &dyn Clock,
) -> Result<Option<SandboxSeed>, StartError> {
    let url = match (&config.sandbox.mode, embedded) {
        (SandboxMode::Attached(url), _) => url.clone(),
        (SandboxMode::Embedded, Some(embedded)) => control_url(embedded),
        (SandboxMode::Embedded, None) | (SandboxMode::Off, _) => {
            store.claim_owner(StoreOwner::Real).await?;
            return Ok(None);
        }
    };
    store.claim_owner(StoreOwner::Sandbox).await?;
    let seed = sandbox::fetch_seed(&url, ATTACH_TIMEOUT).await?;
    sandbox::seed(store, &seed, &config.plans.operator, clock.now()).await?;
    Ok(Some(seed))
}

/// What customers seal their sessions for: the application is the sandbox's where one is.
fn uploads(config: &Config, seed: Option<&SandboxSeed>, key: UploadKey) -> Uploads {
    let sensitive = |text: &str| Sensitive::from(SecretString::from(text));
    match seed {
        Some(SandboxSeed { telegram, .. }) => {
            Uploads { key, api_id: telegram.api_id, api_hash: Some(sensitive(&telegram.api_hash)) }
        }
        None => Uploads {
            key,
            api_id: config.telegram.api_id,
            api_hash: config.telegram.api_hash.as_ref().map(|hash| sensitive(hash.expose())),
        },
    }
}

/// What connects accounts, and what brings them in.
type Platforms = (Arc<dyn PlatformConnector>, Arc<dyn Login>);

/// The platforms' clients. Where a sandbox is, both platforms are there unless the configuration names another place.
fn connectors(
    config: &Config,
    seed: Option<&SandboxSeed>,
    store: &Store,
    clock: &Arc<dyn Clock>,
    rng: &Arc<dyn Rng>,
) -> Result<Platforms, StartError> {
    let (mut telegram, mut discord) = (config.telegram.clone(), config.discord.clone());
    (telegram.private_proxies, discord.private_proxies) =
        (config.limits.private_targets, config.limits.private_targets);
    let mut keys: Arc<dyn AuthKeySource> = Arc::new(ClientExchange);
    if let Some(seed) = seed {
        let address = seed.telegram.address.parse();
        let address = address.map_err(|error| io("the sandbox names no Telegram address", error))?;
        telegram.use_sandbox(address, seed.telegram.api_id, &seed.telegram.api_hash);
        discord.use_sandbox(&seed.discord.api_base);
        let client = reqwest::Client::builder().no_proxy().build();
        let client = client.map_err(|error| io("no HTTP client", error))?;
        let timeout = telegram.request_timeout;
        keys = Arc::new(SandboxKeys::new(client, &seed.control, Arc::clone(rng), timeout));
    }
    let credentials = Arc::new(store.clone());
    let (login_clock, login_rng, runtime) = (Arc::clone(clock), Arc::clone(rng), Handle::current());
    let telegram_login = TelegramLogin::new(
        telegram.clone(),
        credentials.clone(),
        Arc::clone(&keys),
        login_clock,
        login_rng,
        runtime,
    );
    let login = Logins::new(telegram_login, DiscordLogin::new(discord.clone())?);
    let telegram = TelegramConnector::new(telegram, credentials.clone(), keys, Handle::current());
    let discord = DiscordConnector::new(discord, credentials.clone(), Arc::clone(clock))?;
    let discord = discord.with_source_log(credentials);
    let connectors = Connectors::new(Arc::new(telegram), Arc::new(discord));
    let threads = Handle::current();
    Ok((Arc::new(OnThreads::new(connectors, threads.clone())), Arc::new(OnThreads::new(login, threads))))
}
