//! A user's sign-in, step by step: code or scan, then the second factor where there is one.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use grammers_session::updates::UpdatesLike;
use grammers_tl_types as tl;
use secrecy::{ExposeSecret, SecretString};
use switchyard_actors::ports::{LoginError, LoginStep, Proxy, SignIn};

use super::super::link::{Arrival, Inbox};
use super::attempt::{Application, Attempt, Needs};
use super::fault::{PASSWORD_NEEDED, login_error};

/// Digits of a telephone number (E.164).
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// Links are asked for no more often than this, whatever our clock and the server's say.
const LINK_MIN: TimeDelta = TimeDelta::seconds(5);
/// How often one wait for a scan may be sent on to another data centre.
const HOPS_MAX: u32 = 3;

/// Where a sign-in stands.
enum Stage {
    /// A code was sent.
    Code { phone: String, hash: String, by_email: bool },
    /// A link is shown.
    Scan { link: SecretString, shown_at: DateTime<Utc>, expires_at: DateTime<Utc> },
    /// The first factor was right.
    Password,
}

impl Stage {
    const fn asks_for(&self) -> &'static str {
        match self {
            Self::Code { .. } => "the code",
            Self::Scan { .. } => "somebody to scan the link",
            Self::Password => "the password",
        }
    }
}

/// A sign-in under way.
struct UserSignIn {
    needs: Arc<Needs>,
    /// `None` once it is done: the connection is closed then.
    under_way: Option<(Attempt, Stage)>,
}

/// Has a code sent to a number.
pub(super) async fn by_phone(
    needs: &Arc<Needs>,
    phone: &str,
    proxy: Option<&Proxy>,
) -> Result<(Box<dyn SignIn>, LoginStep), LoginError> {
    let phone = international(phone)?;
    let Application { api_id, api_hash } = needs.application()?;
    let settings = tl::types::CodeSettings {
        allow_flashcall: false,
        current_number: false,
        allow_app_hash: false,
        allow_missed_call: false,
        allow_firebase: false,
        logout_tokens: None,
        token: None,
        app_sandbox: None,
        unknown_number: false,
    };
    let request = tl::functions::auth::SendCode {
        phone_number: phone.clone(),
        api_id,
        api_hash,
        settings: settings.into(),
    };
    let (attempt, sent) = Attempt::begin(needs, &request, proxy).await?;
    let sent = match sent {
        tl::enums::auth::SentCode::Code(sent) => sent,
        tl::enums::auth::SentCode::Success(success) => {
            let sign_in = UserSignIn { needs: Arc::clone(needs), under_way: None };
            let step = LoginStep::Done(Box::new(attempt.done(success.authorization)?));
            return Ok((Box::new(sign_in), step));
        }
        tl::enums::auth::SentCode::PaymentRequired(_) => {
            let text = "Telegram sends codes to this number only against payment: sign in by QR code";
            return Err(LoginError::Phone(text.to_owned()));
        }
    };
    let sent_to = sent_to(&sent.r#type)?;
    let by_email = matches!(sent.r#type, tl::enums::auth::SentCodeType::EmailCode(_));
    let stage = Stage::Code { phone, hash: sent.phone_code_hash, by_email };
    let sign_in = UserSignIn { needs: Arc::clone(needs), under_way: Some((attempt, stage)) };
    Ok((Box::new(sign_in), LoginStep::Code { sent_to }))
}

/// Has a link made.
pub(super) async fn by_qr(
    needs: &Arc<Needs>,
    proxy: Option<&Proxy>,
) -> Result<(Box<dyn SignIn>, LoginStep), LoginError> {
    let attempt = Attempt::open(needs, None, proxy).await?;
    // Before the first link there is none, and it is out of date.
    let now = needs.clock.now();
    let stage = Stage::Scan { link: SecretString::default(), shown_at: now, expires_at: now };
    let mut sign_in = UserSignIn { needs: Arc::clone(needs), under_way: Some((attempt, stage)) };
    let step = sign_in.link().await?;
    Ok((Box::new(sign_in), step))
}

impl UserSignIn {
    /// Asks for the link, or for what came of it.
    async fn link(&mut self) -> Result<LoginStep, LoginError> {
        let Application { api_id, api_hash } = self.needs.application()?;
        let export = tl::functions::auth::ExportLoginToken { api_id, api_hash, except_ids: Vec::new() };
        let (attempt, _stage) = self.under_way.as_ref().ok_or_else(over)?;
        let mut answer = attempt.link().call(&export).await;
        for _ in 0..HOPS_MAX {
            match answer {
                Ok(tl::enums::auth::LoginToken::Token(token)) => return self.show(&token),
                Ok(tl::enums::auth::LoginToken::Success(success)) => {
                    return self.signed_in(success.authorization);
                }
                Ok(tl::enums::auth::LoginToken::MigrateTo(elsewhere)) => {
                    let proxy = self.under_way.as_ref().and_then(|(attempt, _)| attempt.proxy());
                    let there = Attempt::open(&self.needs, Some(elsewhere.dc_id), proxy.as_ref()).await?;
                    let import = tl::functions::auth::ImportLoginToken { token: elsewhere.token };
                    answer = there.link().call(&import).await;
                    if let Some((attempt, _stage)) = &mut self.under_way {
                        *attempt = there;
                    }
                }
                Err(error) if error.is(PASSWORD_NEEDED) => return self.ask_password().await,
                Err(error) => return Err(login_error(&error)),
            }
        }
        Err(LoginError::Unreachable("Telegram sends the sign-in from one data centre to the next".to_owned()))
    }

    fn show(&mut self, token: &tl::types::auth::LoginToken) -> Result<LoginStep, LoginError> {
        let expires_at = DateTime::from_timestamp(i64::from(token.expires), 0);
        let expires_at =
            expires_at.ok_or_else(|| LoginError::Unreachable("the link names no time".to_owned()))?;
        let link = SecretString::from(format!("tg://login?token={}", URL_SAFE_NO_PAD.encode(&token.token)));
        let (_attempt, stage) = self.under_way.as_mut().ok_or_else(over)?;
        *stage = Stage::Scan { link: link.clone(), shown_at: self.needs.clock.now(), expires_at };
        Ok(LoginStep::Scan { link, expires_at })
    }

    /// Ends the sign-in and its connection.
    fn signed_in(&mut self, authorization: tl::enums::auth::Authorization) -> Result<LoginStep, LoginError> {
        let (attempt, _stage) = self.under_way.take().ok_or_else(over)?;
        Ok(LoginStep::Done(Box::new(attempt.done(authorization)?)))
    }

    /// Goes on to the second factor.
    async fn ask_password(&mut self) -> Result<LoginStep, LoginError> {
        let (attempt, stage) = self.under_way.as_mut().ok_or_else(over)?;
        *stage = Stage::Password;
        // A hint that cannot be had now is no reason to begin anew.
        let asked = attempt.question().await.ok();
        let hint = asked.and_then(|asked| asked.hint).filter(|hint| !hint.is_empty());
        Ok(LoginStep::Password { hint })
    }
}

const fn over() -> LoginError {
    LoginError::OutOfStep("nothing more: it is over")
}

#[async_trait]
impl SignIn for UserSignIn {
    async fn code(&mut self, code: SecretString) -> Result<LoginStep, LoginError> {
        let (attempt, stage) = self.under_way.as_ref().ok_or_else(over)?;
        let Stage::Code { phone, hash, by_email } = stage else {
            return Err(LoginError::OutOfStep(stage.asks_for()));
        };
        let code = plain(code.expose_secret());
        let by_email = by_email.then(|| {
            let code = tl::types::EmailVerificationCode { code: code.clone() };
            tl::enums::EmailVerification::Code(code)
        });
        let request = tl::functions::auth::SignIn {
            phone_number: phone.clone(),
            phone_code_hash: hash.clone(),
            phone_code: by_email.is_none().then_some(code),
            email_verification: by_email,
        };
        match attempt.link().call(&request).await {
            Ok(authorization) => self.signed_in(authorization),
            Err(error) if error.is(PASSWORD_NEEDED) => self.ask_password().await,
            Err(error) => Err(login_error(&error)),
        }
    }

    async fn password(&mut self, password: SecretString) -> Result<LoginStep, LoginError> {
        let (attempt, stage) = self.under_way.as_ref().ok_or_else(over)?;
        if !matches!(stage, Stage::Password) {
            return Err(LoginError::OutOfStep(stage.asks_for()));
        }
        let authorization = attempt.prove(&password).await?;
        self.signed_in(authorization)
    }

    async fn wait(&mut self) -> Result<LoginStep, LoginError> {
        let now = self.needs.clock.now();
        let (attempt, stage) = self.under_way.as_mut().ok_or_else(over)?;
        let Stage::Scan { link, shown_at, expires_at } = stage else {
            return Err(LoginError::OutOfStep(stage.asks_for()));
        };
        // Where the clocks differ much, every link looks out of date at once.
        let until = (*expires_at).max(*shown_at + LINK_MIN);
        let left = (until - now).to_std().unwrap_or_default();
        let longest = self.needs.config.request_timeout;
        let scanned = tokio::time::timeout(left.min(longest), scanned(attempt.inbox())).await;
        match scanned {
            Err(_) if left > longest => {
                return Ok(LoginStep::Scan { link: link.clone(), expires_at: *expires_at });
            }
            Ok(Err(error)) => return Err(error),
            Ok(Ok(())) | Err(_) => {}
        }
        self.link().await
    }
}

/// Returns when the server says that the link was scanned, or may have said so.
async fn scanned(inbox: &mut Inbox) -> Result<(), LoginError> {
    loop {
        match inbox.next().await {
            Arrival::Updates(updates) if says_scanned(&updates) => return Ok(()),
            Arrival::Updates(_) => {}
            Arrival::Dropped => return Ok(()),
            Arrival::Closed => {
                return Err(LoginError::Unreachable("the connection was closed".to_owned()));
            }
        }
    }
}

/// A connection that was lost may have taken the news with it.
fn says_scanned(updates: &UpdatesLike) -> bool {
    let is_token = |update: &tl::enums::Update| matches!(update, tl::enums::Update::LoginToken);
    match updates {
        UpdatesLike::ConnectionClosed => true,
        UpdatesLike::Updates(tl::enums::Updates::UpdateShort(short)) => is_token(&short.update),
        UpdatesLike::Updates(tl::enums::Updates::Updates(some)) => some.updates.iter().any(is_token),
        UpdatesLike::Updates(tl::enums::Updates::Combined(some)) => some.updates.iter().any(is_token),
        _ => false,
    }
}

/// The number as `+<digits>`.
fn international(phone: &str) -> Result<String, LoginError> {
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    let allowed = |char: char| char.is_ascii_digit() || matches!(char, '+' | ' ' | '-' | '(' | ')' | '.');
    if phone.trim().chars().all(allowed) && PHONE_DIGITS.contains(&digits.len()) {
        return Ok(format!("+{digits}"));
    }
    Err(LoginError::Phone("write it with its country's code, as +46 70 123 45 67".to_owned()))
}

/// A code without what people put between its digits; words stay as they are.
fn plain(code: &str) -> String {
    let between = |char: char| char.is_whitespace() || char == '-';
    if code.chars().all(|char| char.is_ascii_digit() || between(char)) {
        return code.chars().filter(char::is_ascii_digit).collect();
    }
    code.trim().to_owned()
}

/// Where a code was sent, in words.
fn sent_to(kind: &tl::enums::auth::SentCodeType) -> Result<String, LoginError> {
    use tl::enums::auth::SentCodeType as Kind;
    Ok(match kind {
        Kind::App(_) => "the Telegram app".to_owned(),
        Kind::Sms(_) | Kind::FirebaseSms(_) => "SMS".to_owned(),
        Kind::SmsWord(_) => "SMS: it is a word".to_owned(),
        Kind::SmsPhrase(_) => "SMS: it is a phrase".to_owned(),
        Kind::Call(_) => "a telephone call that reads it out".to_owned(),
        Kind::FlashCall(_) | Kind::MissedCall(_) => {
            "a telephone call: it is the end of the caller's number".to_owned()
        }
        Kind::EmailCode(code) => format!("e-mail to {}", code.email_pattern),
        Kind::FragmentSms(_) => "fragment.com, where the number was bought".to_owned(),
        Kind::SetUpEmailRequired(_) => {
            let text = "Telegram asks for an e-mail address first: sign in with Telegram's own app once";
            return Err(LoginError::Phone(text.to_owned()));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for text in ["+46 70 123 45 67", "46701234567", "+46(70)123-45-67"] {
            assert_eq!(international(text).unwrap(), "+46701234567");
        }
        for text in ["", "123", "+4670123456789012", "46 7o 123 45 67", "bot@example.org"] {
            assert!(matches!(international(text), Err(LoginError::Phone(_))), "{text}");
        }
    }

    #[test]
    fn codes_are_read_as_people_write_them() {
        assert_eq!(plain(" 123-45 \n"), "12345");
        assert_eq!(plain("two words "), "two words");
    }

    #[test]
    fn only_news_of_the_link_end_the_wait() {
        let short = |update| {
            let short = tl::types::UpdateShort { update, date: 0 };
            UpdatesLike::Updates(tl::enums::Updates::UpdateShort(short))
        };
        assert!(says_scanned(&short(tl::enums::Update::LoginToken)));
        assert!(!says_scanned(&short(tl::enums::Update::Config)));
        assert!(!says_scanned(&UpdatesLike::Updates(tl::enums::Updates::TooLong)));
        assert!(says_scanned(&UpdatesLike::ConnectionClosed));
    }
}
