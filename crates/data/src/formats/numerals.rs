//! Numbers as people write them in other countries, in files of text: `1.234,5` and `1 234,5` become `1234.5`.

use crate::conform::number;
use crate::read::ReadOptions;
use std::borrow::Cow;

/// How numbers are written.
#[derive(Clone, Debug)]
pub(super) struct Numerals {
    decimal: char,
    thousands: &'static [char],
}

/// What stands between thousands, by the words of `data.thousands`.
const THOUSANDS: &[(&str, &[char])] =
    &[("none", &[]), ("comma", &[',']), ("point", &['.']), ("space", &[' ', '\u{a0}', '\u{202f}']), ("apostrophe", &['\'', '\u{2019}'])];

impl Numerals {
    /// Nothing when numbers are written as programs write them.
    pub(super) fn open(options: &ReadOptions) -> Option<Numerals> {
        let thousands = THOUSANDS.iter().find(|(word, _)| *word == options.thousands).map_or(&[][..], |(_, marks)| marks);
        let decimal = if options.has_decimal_comma { ',' } else { '.' };
        (decimal != '.' || !thousands.is_empty()).then_some(Numerals { decimal, thousands })
    }

    /// A cell as programs write it. Nothing when it would be a number, but for another way of writing them.
    pub(super) fn plain<'a>(&self, cell: &'a str) -> Option<Cow<'a, str>> {
        match self.amount(cell.trim()) {
            Some(amount) => Some(amount.into()),
            None => (!cell.contains('.') || self.decimal == '.' || number(cell).is_none()).then_some(Cow::Borrowed(cell)),
        }
    }

    fn amount(&self, text: &str) -> Option<String> {
        let mut amount = String::with_capacity(text.len());
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        amount.push_str(&text[..text.len() - unsigned.len()]);
        let (mantissa, exponent) = unsigned.find(['e', 'E']).map_or((unsigned, ""), |at| unsigned.split_at(at));
        let (whole, part) = mantissa.split_once(self.decimal).unwrap_or((mantissa, ""));
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let groups: Vec<&str> = whole.split(self.thousands).collect();
        let are_thousands = groups.len() == 1 || groups[0].len() <= 3 && groups[1..].iter().all(|group| group.len() == 3);
        let is_amount = are_thousands && groups.iter().all(|group| is_digits(group)) && (part.is_empty() || is_digits(part));
        if !is_amount {
            return None;
        }
        groups.iter().for_each(|group| amount.push_str(group));
        if !part.is_empty() {
            amount.push('.');
            amount.push_str(part);
        }
        amount.push_str(exponent);
        number(&amount).map(|_| amount)
    }
}
