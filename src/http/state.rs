//! What the server knows: in which phase the daemon is, who the operator is, and its bounds.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::{Ready, ready};
use switchyard_actors::model::IdSource;
use switchyard_actors::ports::{Clock, Rng};
use switchyard_actors::supervision::Verdict;

use crate::config::HttpConfig;
use crate::services::accounts::Accounts;
use crate::services::admin::{Admin, Health};
use crate::services::announcements::Announcements;
use crate::services::audit::Audit;
use crate::services::bulk::Bulk;
use crate::services::deliveries::Deliveries;
use crate::services::entry::Entry;
use crate::services::events::Streams;
use crate::services::idempotency::Idempotency;
use crate::services::identity::Identity;
use crate::services::keys::Keys;
use crate::services::limiter::CallLimits;
use crate::services::linking::Linking;
use crate::services::membership::Memberships;
use crate::services::metrics::Metrics;
use crate::services::monitor::Monitor;
use crate::services::networks::Networks;
use crate::services::operator::OperatorAccess;
use crate::services::pairs::Pairs;
use crate::services::queues::Queues;
use crate::services::secrets::Secrets;
use crate::services::staff::Staff;
use crate::services::users::Users;
use crate::services::work::Jobs;

use super::api::Published;
use super::operator::OperatorVerifier;
use super::problem::{Problem, ProblemCode};
use super::tls::ServerTls;

/// The longest that a caller is told to wait for a daemon that starts.
const COME_BACK: Duration = Duration::from_secs(1);

/// What the routes call.
#[derive(Clone)]
pub struct Services {
    /// The operator's way into the tree.
    pub admin: Arc<dyn Admin>,
    /// Accounts.
    pub accounts: Arc<dyn Accounts>,
    /// Pairs.
    pub pairs: Arc<dyn Pairs>,
    /// Users as people who sign in.
    pub identity: Arc<dyn Identity>,
    /// Plans and suspension.
    pub membership: Arc<dyn Memberships>,
    /// Users, for the staff.
    pub users: Arc<dyn Users>,
    /// Who comes in.
    pub entry: Arc<dyn Entry>,
    /// From where admins may call.
    pub networks: Arc<dyn Networks>,
    /// Who the staff are, and how they come in.
    pub staff: Arc<dyn Staff>,
    /// What staff did.
    pub audit: Arc<dyn Audit>,
    /// How often.
    pub limits: CallLimits,
    /// Orders that may be sent twice.
    pub orders: Arc<dyn Idempotency>,
    /// Streams of events.
    pub events: Arc<dyn Streams>,
    /// Long work.
    pub jobs: Arc<dyn Jobs>,
    /// Queues and sessions, for the staff.
    pub queues: Arc<dyn Queues>,
    /// The ledger of deliveries.
    pub deliveries: Arc<dyn Deliveries>,
    /// The same to all pairs of a user.
    pub bulk: Arc<dyn Bulk>,
    /// How the daemon is.
    pub monitor: Arc<dyn Monitor>,
    /// Master keys and rotations.
    pub keys: Arc<dyn Keys>,
    /// Secrets of the installation.
    pub secrets: Arc<dyn Secrets>,
    /// The bot's chats, and what users want to hear.
    pub linking: Arc<dyn Linking>,
    /// Announcements.
    pub announcements: Arc<dyn Announcements>,
}

/// In which part of its life the daemon is.
#[derive(Clone)]
enum Phase {
    Migrating,
    Serving(Box<Services>),
    Draining,
}

/// Shared by every worker of one server.
pub struct HttpState {
    phase: RwLock<Phase>,
    operator: OperatorVerifier,
    clock: Arc<dyn Clock>,
    ids: IdSource,
    published: OnceLock<Published>,
    tls: OnceLock<Arc<ServerTls>>,
    metrics: OnceLock<Arc<Metrics>>,
}

impl HttpState {
    /// The state of a daemon that migrates its store: it answers, but with 503.
    #[must_use]
    pub fn migrating(operator: &OperatorAccess, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Arc<Self> {
        let operator = OperatorVerifier::new(operator, rng.as_ref());
        let ids = IdSource::new(Arc::clone(&clock), rng);
        Arc::new(Self {
            phase: RwLock::new(Phase::Migrating),
            operator,
            clock,
            ids,
            published: OnceLock::new(),
            tls: OnceLock::new(),
            metrics: OnceLock::new(),
        })
    }

    /// Servers that are put together from now on speak TLS. The first call counts.
    pub fn speak_tls(&self, tls: Arc<ServerTls>) {
        // Only a second call finds it taken, and the daemon makes one.
        let _taken = self.tls.set(tls);
    }

    pub(crate) fn tls(&self) -> Option<&Arc<ServerTls>> {
        self.tls.get()
    }

    /// From now on there are metrics to be told. The first call counts.
    pub fn measure(&self, metrics: Arc<Metrics>) {
        // Only a second call finds it taken, and the daemon makes one.
        let _taken = self.metrics.set(metrics);
    }

    /// Metrics; none before there is a tree.
    pub(crate) fn metrics(&self) -> Option<&Arc<Metrics>> {
        self.metrics.get()
    }

    /// From now on requests are served.
    pub fn serve_with(&self, services: Services) {
        self.enter(Phase::Serving(Box::new(services)));
    }

    /// From now on requests are turned away.
    pub fn drain(&self) {
        self.enter(Phase::Draining);
    }

    fn enter(&self, phase: Phase) {
        *self.phase.write().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    fn phase(&self) -> Phase {
        self.phase.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The phase in one word, for people.
    #[must_use]
    pub fn phase_name(&self) -> &'static str {
        match self.phase() {
            Phase::Migrating => "migrating",
            Phase::Serving(_) => "serving",
            Phase::Draining => "draining",
        }
    }

    /// How well the daemon is.
    #[must_use]
    pub fn health(&self) -> Health {
        let waits = |reason: &str| Health {
            live: true,
            ready: false,
            verdict: Verdict::Yellow,
            reasons: vec![reason.to_owned()],
        };
        match self.phase() {
            Phase::Migrating => waits("the store is being migrated"),
            Phase::Serving(services) => {
                let mut health = services.admin.health();
                health.reasons.extend(self.tls().and_then(|tls| tls.trouble()));
                health
            }
            Phase::Draining => waits("the daemon is draining"),
        }
    }

    /// What the routes call.
    ///
    /// # Errors
    /// 503 while the daemon migrates or drains.
    pub(crate) fn services(&self) -> Result<Services, Problem> {
        let waits = |detail| Err(Problem::new(ProblemCode::NotReady, detail).retry_after(COME_BACK));
        match self.phase() {
            Phase::Migrating => waits("the store is being migrated"),
            Phase::Serving(services) => Ok(*services),
            Phase::Draining => waits("the daemon is draining"),
        }
    }

    pub(crate) const fn operator(&self) -> &OperatorVerifier {
        &self.operator
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// What the API says of itself; made when it is first asked for.
    pub(crate) fn published(&self) -> &Published {
        self.published.get_or_init(Published::new)
    }

    /// A new request id.
    pub(crate) fn request_id(&self) -> String {
        self.ids.uuid().to_string()
    }
}

/// The id of a request, in its extensions.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) String);

/// Bounds of one server, for extractors and middleware.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) body_max: usize,
    pub(crate) body_timeout: Duration,
    pub(crate) answer_timeout: Duration,
}

impl From<&HttpConfig> for Bounds {
    fn from(config: &HttpConfig) -> Self {
        Self {
            body_max: config.body_max.len(),
            body_timeout: config.body_timeout,
            answer_timeout: config.answer_timeout,
        }
    }
}

/// Something that every request of a server can reach, or a fault of ours.
pub(crate) fn shared<T: 'static>(req: &HttpRequest) -> Result<&web::Data<T>, Problem> {
    req.app_data::<web::Data<T>>().ok_or_else(|| Problem::plain(ProblemCode::InternalError))
}

/// For handlers: the services of a daemon that serves; 503 otherwise.
pub(crate) struct Serving(pub(crate) Services);

impl FromRequest for Serving {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(shared::<HttpState>(req).and_then(|state| state.services()).map(Self))
    }
}
