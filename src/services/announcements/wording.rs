//! What an announcement must not say: the bot sells nothing, names no price and links to the account page only.

/// Signs and codes of money, in lower case.
const SIGNS: [char; 8] = ['$', '€', '£', '¥', '₽', '₴', '₹', '₿'];
const CODES: [&str; 14] = [
    "usd", "eur", "gbp", "jpy", "rub", "uah", "inr", "usdt", "usdc", "btc", "eth", "ton", "dollars", "euros",
];

/// What is wrong with a text, if something is.
pub(super) fn fault(text: &str, account_page: Option<&str>) -> Option<String> {
    if let Some(address) = addresses(text).find(|address| !is_account_page(address, account_page)) {
        let allowed = account_page.map_or_else(
            || "no address (bot.account_page names none)".to_owned(),
            |page| format!("no address but the account page's ({page})"),
        );
        return Some(format!("it holds the address {address:?}: an announcement holds {allowed}"));
    }
    price(text)
        .map(|price| format!("it names a price ({price:?}): the bot sells nothing, the account page does"))
}

/// Words that Telegram would show as links.
fn addresses(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || "()<>[]{}\"'“”,;".contains(c))
        .map(|word| word.trim_end_matches(['.', ':', '!', '?']))
        .filter(|word| is_address(word))
}

fn is_address(word: &str) -> bool {
    if word.contains("://") || word.starts_with("mailto:") || word.starts_with("tg:") {
        return true;
    }
    let host = word.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let Some((name, domain)) = host.rsplit_once('.') else { return false };
    let labels = name
        .split('.')
        .all(|label| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-'));
    labels && domain.chars().count() >= 2 && domain.chars().all(char::is_alphabetic)
}

/// The account page itself or something below it, by https.
fn is_account_page(address: &str, page: Option<&str>) -> bool {
    let Some(page) = page.map(|page| page.trim_end_matches('/')) else { return false };
    let bare = |text: &str| text.split_once("://").map_or(text, |(_, rest)| rest).to_ascii_lowercase();
    let (address, secure) = (bare(address), !address.starts_with("http://") || page.starts_with("http://"));
    address.strip_prefix(&bare(page)).is_some_and(|rest| {
        secure && (rest.is_empty() || rest.starts_with(['/', '?', '#'])) && !rest.contains("..")
    })
}

/// A number beside a sign or a code of money.
fn price(text: &str) -> Option<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut last = ' ';
    for c in text.to_lowercase().chars() {
        let kind = |c: char| {
            if c.is_numeric() {
                'n'
            } else if c.is_alphabetic() {
                'a'
            } else {
                c
            }
        };
        let joins = kind(c) == kind(last) || (last.is_numeric() && matches!(c, '.' | ','));
        match tokens.last_mut() {
            Some(token) if joins && !c.is_whitespace() => token.push(c),
            _ if c.is_whitespace() => {}
            _ => tokens.push(c.to_string()),
        }
        last = c;
    }
    let is_number = |token: &str| token.starts_with(char::is_numeric);
    let is_money = |token: &str| CODES.contains(&token) || token.chars().all(|c| SIGNS.contains(&c));
    tokens.windows(2).find_map(|pair| {
        let [one, other] = pair else { return None };
        let found = (is_number(one) && is_money(other)) || (is_money(one) && is_number(other));
        found.then(|| format!("{one} {other}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_but_the_account_page() {
        let page = Some("https://switchyard.example/account");
        for good in [
            "Maintenance tonight, e.g. at 22:30. Sorry!",
            "See https://switchyard.example/account/notices.",
            "See switchyard.example/account?x=1",
            "Version 2.0 is here... enjoy",
        ] {
            assert_eq!(fault(good, page), None, "{good}");
        }
        for bad in [
            "pay at https://paypal.me/x",
            "pay at paypal.me/x",
            "(t.me/other)",
            "https://switchyard.example.evil.test/account",
            "https://switchyard.example/accounting",
            "https://switchyard.example/account/../pay",
            "http://switchyard.example/account",
            "tg://resolve?domain=x",
            "a@b.example",
            "ton://transfer/x",
        ] {
            assert!(fault(bad, page).is_some(), "{bad}");
        }
        assert!(fault("https://switchyard.example/account", None).is_some());
    }

    #[test]
    fn no_price() {
        for bad in ["only $5", "5 $", "now 4.99 EUR a month", "€ 3", "10usd", "USDT 12", "50 dollars"] {
            assert!(fault(bad, None).is_some(), "{bad}");
        }
        for good in ["50 % more pairs", "at 10 am", "3 accounts", "EUR is a code", "the $ sign"] {
            assert_eq!(fault(good, None), None, "{good}");
        }
    }
}
