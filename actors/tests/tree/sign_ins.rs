//! Sign-ins as actors: step by step, bounded, forgotten in time, and lost with a clear word when they crash.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use switchyard_actors::model::{Account, AccountKind, UserId};
use switchyard_actors::ports::{Identified, Login, LoginError, LoginStep, NewCredential, Proxy, SignIn};
use switchyard_actors::tree::{
    Admission, AdmissionError, Admitted, SignInBounds, SignInError, SignInInput, SignInOrder, SignInStage,
    SignInStatus, SignInWay,
};
use uuid::Uuid;

use crate::world::{World, account, run};

const BOUNDS: SignInBounds = SignInBounds { max: 2, max_per_user: 1, deadline: Duration::from_secs(600) };

/// Asks for the code 1, then for the password `open`; other texts make it panic or wait.
struct Steps;

fn found() -> Identified {
    Identified {
        kind: AccountKind::TelegramUser,
        platform_id: 7,
        name: "Ada".to_owned(),
        chat: None,
        fresh: true,
        secrets: Vec::new(),
    }
}

#[async_trait]
impl SignIn for Steps {
    async fn code(&mut self, code: SecretString) -> Result<LoginStep, LoginError> {
        match code.expose_secret() {
            "1" => Ok(LoginStep::Password { hint: None }),
            "crash" => panic!("the adapter has a fault"),
            "old" => Err(LoginError::CodeExpired),
            "slow" => std::future::pending().await,
            _ => Err(LoginError::WrongCode),
        }
    }

    async fn password(&mut self, password: SecretString) -> Result<LoginStep, LoginError> {
        match password.expose_secret() {
            "open" => Ok(LoginStep::Done(Box::new(found()))),
            _ => Err(LoginError::WrongPassword),
        }
    }

    async fn wait(&mut self) -> Result<LoginStep, LoginError> {
        tokio::time::sleep(Duration::from_secs(30)).await;
        Ok(LoginStep::Done(Box::new(found())))
    }
}

struct FakeLogin;

#[async_trait]
impl Login for FakeLogin {
    async fn identify(&self, _: NewCredential, _: Option<&Proxy>) -> Result<Identified, LoginError> {
        Ok(found())
    }

    async fn sign_in_by_phone(
        &self,
        phone: &str,
        _: Option<&Proxy>,
    ) -> Result<(Box<dyn SignIn>, LoginStep), LoginError> {
        match phone {
            "flood" => {
                Err(LoginError::Wait { wait: Duration::from_secs(77), reason: "FLOOD_WAIT".to_owned() })
            }
            _ => Ok((Box::new(Steps), LoginStep::Code { sent_to: "the Telegram app".to_owned() })),
        }
    }

    async fn sign_in_by_qr(&self, _: Option<&Proxy>) -> Result<(Box<dyn SignIn>, LoginStep), LoginError> {
        let expires_at = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        Ok((Box::new(Steps), LoginStep::Scan { link: "tg://login?token=x".into(), expires_at }))
    }

    async fn log_out(&self, _: &Account) -> Result<(), LoginError> {
        Ok(())
    }

    async fn revoke(&self, _: AccountKind, _: Vec<(String, SecretSlice<u8>)>) -> Result<(), LoginError> {
        Ok(())
    }
}

#[derive(Default)]
struct Door {
    admitted: Mutex<Vec<UserId>>,
    shut: bool,
}

#[async_trait]
impl Admission for Door {
    async fn admit(&self, owner: UserId, _: Identified) -> Result<Admitted, AdmissionError> {
        if self.shut {
            return Err(AdmissionError::Refused("another user connected this platform account".to_owned()));
        }
        self.admitted.lock().unwrap().push(owner);
        Ok(Admitted { account: account(9), renewed: false })
    }
}

fn user(n: u128) -> UserId {
    UserId::from_uuid(Uuid::from_u128(n))
}

fn phone(owner: u128, number: &str) -> SignInOrder {
    SignInOrder { owner: user(owner), way: SignInWay::Phone(number.to_owned()), proxy: None }
}

struct Desk {
    world: World,
    door: Arc<Door>,
}

impl Desk {
    async fn open() -> Self {
        Self { world: World::start(1, 0, "").await, door: Arc::default() }
    }

    async fn begin(&self, id: &str, order: SignInOrder) -> Result<SignInStatus, SignInError> {
        let sign_ins = self.world.root.operator().sign_ins().clone();
        let door: Arc<dyn Admission> = self.door.clone();
        sign_ins.begin(id, order, BOUNDS, Arc::new(FakeLogin), door).await
    }

    async fn look(&self, id: &str) -> Result<SignInStatus, SignInError> {
        self.world.root.operator().sign_ins().clone().look(id).await
    }

    async fn code(&self, id: &str, text: &str) -> Result<SignInStatus, SignInError> {
        let sign_ins = self.world.root.operator().sign_ins().clone();
        sign_ins.hand_in(id, SignInInput::Code(SecretString::from(text))).await
    }

    async fn password(&self, id: &str, text: &str) -> Result<SignInStatus, SignInError> {
        let sign_ins = self.world.root.operator().sign_ins().clone();
        sign_ins.hand_in(id, SignInInput::Password(SecretString::from(text))).await
    }
}

#[test]
fn a_person_signs_in_step_by_step_and_may_correct_what_was_wrong() {
    run(async || {
        let desk = Desk::open().await;
        let begun = desk.begin("a", phone(1, "+1")).await.unwrap();
        assert!(matches!(begun.stage, SignInStage::Code { .. }));
        assert_eq!(
            desk.password("a", "open").await.unwrap_err(),
            SignInError::OutOfStep("the code that was sent")
        );
        assert_eq!(desk.code("a", "2").await.unwrap_err(), SignInError::Login(LoginError::WrongCode));
        assert!(matches!(desk.code("a", "1").await.unwrap().stage, SignInStage::Password { .. }));
        assert_eq!(
            desk.password("a", "shut").await.unwrap_err(),
            SignInError::Login(LoginError::WrongPassword)
        );
        assert!(matches!(desk.password("a", "open").await.unwrap().stage, SignInStage::Done(_)));
        assert_eq!(*desk.door.admitted.lock().unwrap(), [user(1)]);
        assert!(matches!(desk.look("a").await.unwrap().stage, SignInStage::Done(_)), "it is remembered");
        tokio::time::sleep(BOUNDS.deadline + Duration::from_secs(1)).await;
        assert_eq!(desk.look("a").await.unwrap_err(), SignInError::Unknown);
    });
}

#[test]
fn a_scan_is_waited_for_by_the_actor_itself() {
    run(async || {
        let desk = Desk::open().await;
        let order = SignInOrder { owner: user(1), way: SignInWay::Qr, proxy: None };
        assert!(matches!(desk.begin("a", order).await.unwrap().stage, SignInStage::Scan { .. }));
        tokio::time::sleep(Duration::from_secs(31)).await;
        assert!(matches!(desk.look("a").await.unwrap().stage, SignInStage::Done(_)));
    });
}

#[test]
fn a_crash_loses_the_sign_in_and_says_so_from_then_on() {
    run(async || {
        let desk = Desk::open().await;
        desk.begin("a", phone(1, "+1")).await.unwrap();
        assert_eq!(desk.code("a", "crash").await.unwrap_err(), SignInError::Lost);
        let lost = desk.look("a").await.unwrap();
        assert!(matches!(lost.stage, SignInStage::Failed(SignInError::Lost)), "{:?}", lost.stage);
        assert_eq!(desk.code("a", "1").await.unwrap_err(), SignInError::Lost);
        desk.begin("b", phone(1, "+1")).await.expect("its place is free again");
    });
}

#[test]
fn places_are_bounded_and_given_back_when_a_sign_in_is_over_or_its_time_is() {
    run(async || {
        let desk = Desk::open().await;
        let flood = desk.begin("a", phone(1, "flood")).await.unwrap_err();
        assert!(matches!(flood, SignInError::Login(LoginError::Wait { .. })), "{flood}");
        desk.begin("b", phone(1, "+1")).await.expect("what never began holds no place");
        assert_eq!(desk.begin("c", phone(1, "+1")).await.unwrap_err(), SignInError::TooMany(1));
        desk.begin("d", phone(2, "+1")).await.unwrap();
        assert_eq!(desk.begin("e", phone(3, "+1")).await.unwrap_err(), SignInError::TooMany(2));
        assert_eq!(desk.code("b", "old").await.unwrap_err(), SignInError::Login(LoginError::CodeExpired));
        desk.begin("e", phone(3, "+1")).await.expect("the place of b is free");
        tokio::time::sleep(BOUNDS.deadline + Duration::from_secs(1)).await;
        desk.begin("f", phone(2, "+1")).await.expect("nobody finished d");
    });
}

#[test]
fn an_answer_that_is_being_checked_is_not_overtaken() {
    run(async || {
        let desk = Desk::open().await;
        desk.begin("a", phone(1, "+1")).await.unwrap();
        let slow = desk.code("a", "slow");
        let quick = async {
            tokio::task::yield_now().await;
            desk.code("a", "1").await
        };
        tokio::select! {
            told = slow => panic!("{told:?}"),
            told = async { tokio::time::sleep(Duration::from_secs(1)).await; quick.await } => {
                assert_eq!(told.unwrap_err(), SignInError::Busy);
            }
        }
    });
}

#[test]
fn what_was_signed_in_and_not_kept_is_told() {
    run(async || {
        let mut desk = Desk::open().await;
        desk.door = Arc::new(Door { shut: true, ..Door::default() });
        desk.begin("a", phone(1, "+1")).await.unwrap();
        desk.code("a", "1").await.unwrap();
        let refused = desk.password("a", "open").await.unwrap_err();
        assert!(matches!(refused, SignInError::Admission(AdmissionError::Refused(_))), "{refused}");
        assert!(matches!(desk.look("a").await.unwrap().stage, SignInStage::Failed(_)));
    });
}
