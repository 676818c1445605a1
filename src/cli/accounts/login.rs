//! `accounts login`: asks a person, step by step, for what Telegram asks for. Nothing is kept here.

use std::time::Duration;

use super::settle;
use crate::cli::client::{Client, ClientError};
use crate::cli::console::Console;
use crate::cli::manage_args::LoginArgs;
use crate::cli::secret_input;
use crate::cli::show_link;
use crate::http::problem::ProblemCode;
use crate::http::{LoginAnswerOrder, LoginMethod, LoginOrder};
use crate::services::sign_ins::{SignInState, SignInView};

/// Between two looks whether the code was scanned.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

pub(super) async fn run(args: &LoginArgs, console: &mut Console) -> Result<(), ClientError> {
    let client = Client::open(&args.owner.data.data_dir)?;
    let user = args.owner.user;
    let order = if args.qr {
        LoginOrder { method: LoginMethod::Qr, phone: None, proxy: None, user }
    } else {
        let phone = secret_input::line("telephone number, such as +491701234567", console)?;
        LoginOrder { method: LoginMethod::Phone, phone: Some(phone), proxy: None, user }
    };
    let mut login = client.begin_login(&order).await?;
    let mut shown: Option<String> = None;
    loop {
        login = match &login.state {
            SignInState::Code { sent_to } => {
                console.say(format_args!("Telegram sent a code to {sent_to}"));
                let code = secret_input::hidden("code", console)?;
                tell(&client, &login, LoginAnswerOrder { code: Some(code), password: None }, console).await?
            }
            SignInState::Password { hint } => {
                if let Some(hint) = hint {
                    console.say(format_args!("The account has a second-factor password; its hint: {hint}"));
                }
                let password = secret_input::hidden("second-factor password", console)?;
                tell(&client, &login, LoginAnswerOrder { code: None, password: Some(password) }, console)
                    .await?
            }
            SignInState::Scan { link, .. } => {
                if shown.as_deref() != Some(link.expose()) {
                    show_link(link.expose(), console);
                    shown = Some(link.expose().to_owned());
                }
                tokio::time::sleep(BETWEEN_LOOKS).await;
                client.login(login.id).await?
            }
            SignInState::Begins => {
                tokio::time::sleep(BETWEEN_LOOKS).await;
                client.login(login.id).await?
            }
            SignInState::Done(connected) => return settle(&client, (**connected).clone(), console).await,
            SignInState::Failed { reason } => {
                return Err(ClientError::Input(format!("the sign-in failed: {reason}")));
            }
        };
    }
}

/// A wrong code or password is asked for again.
async fn tell(
    client: &Client,
    login: &SignInView,
    answer: LoginAnswerOrder,
    console: &mut Console,
) -> Result<SignInView, ClientError> {
    match client.answer_login(login.id, &answer).await {
        Err(ClientError::Refused(problem))
            if matches!(problem.code, ProblemCode::WrongCode | ProblemCode::WrongPassword) =>
        {
            console.complain(&problem.detail);
            client.login(login.id).await
        }
        told => told,
    }
}
