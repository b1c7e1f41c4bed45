import { asName, type Grammar, isNameLike, type Rule, stemsOf, type ValueKind } from "./grammar.ts";

const fillers =
  /[\s,]+(?:please|now|any ?more|any ?longer|too|as well|a lot|very much|so much|again|really|actually|though|at all|these days|already|by the way|instead)$/i;
const notNames =
  /^(?:a|an|the|not|no|in|on|at|by|if|when|back|later|now|soon|again|tomorrow|today|tonight|maybe|anytime|whenever|what|whatever|how|hard|difficult|easy|short|long|too|so|very|really|quite|also|still|just|only|never|always|secret|unknown|important|common|rare|unusual|strange|weird|funny|beautiful|nice|ugly|old|wrong|right|spelled|written|pronounced|from|for|your|my|his|her|their|our|and|or|but|because|up|out|sir|it|that|this|there|here)\b/i;
const pronouns =
  /^(?:it|that|this|these|those|them|you|him|her|us|your|how|what|when|where|who|the way|being able|not)\b/i;

function cut(value: string, kind: ValueKind): string {
  const end =
    kind === "many"
      ? /,?\s+(?:but|because|since|though|although|which|while|and that|and not|so that)\s|,\s*(?:not|so|and|please|by the way)\s/i
      : /,|:|\s(?:and|but|because|since|though|although|which|while|so|not|please)\s/i;
  let rest = value.split(end, 1)[0]?.trim() ?? "";
  for (let shorter = rest.replace(fillers, ""); shorter !== rest; ) {
    rest = shorter;
    shorter = rest.replace(fillers, "");
  }
  return rest.slice(0, 200);
}

const isOr = "(?:is|'s)";
const iAm = "^i(?:'m| am)";
const often = "(?:really |also |just |now |still |truly |absolutely |usually |always )*";
const never = "(?:don't|do not|didn't|no longer|never)";
const likes = "(?:like|love|enjoy|prefer|adore)";
const family =
  "(?:(?:best |little |big |older |younger |elder |new |old )?(?:wife|husband|partner|girlfriend|boyfriend|fiancée?|son|daughter|child|baby|brother|sister|mother|father|mom|mum|dad|grandma|grandpa|grandmother|grandfather|uncle|aunt|cousin|nephew|niece|friend|boss|colleague|neighbou?r|teacher|dog|cat|bird|horse|pet|hamster|rabbit|car|boat|company))";
const trades =
  "(?:teacher|doctor|nurse|engineer|developer|programmer|designer|student|lawyer|driver|writer|artist|musician|cook|chef|pilot|scientist|journalist|manager|photographer|accountant|architect|carpenter|electrician|plumber|farmer|translator|dentist|pharmacist|librarian)";

const rule = (pattern: string, takes: ValueKind, key: Rule["key"], fact?: Rule["fact"]): Rule => ({
  pattern: new RegExp(pattern, "iu"),
  takes,
  key,
  ...(fact && { fact }),
});

const name: Rule["key"] = () => "name";
const home: Rule["key"] = () => "home";
const taste: Rule["key"] = ({ value }) => `taste:${stemsOf(value)}`;
const dislikes: Rule["fact"] = ({ value }) => `The user does not like ${value}.`;
const likesIt: Rule["fact"] = ({ value }) => `The user likes ${value}.`;
const nameIs: Rule["fact"] = ({ value }) => `The user's name is ${asName(value)}.`;
const ownName = "my (?:full |first |real )?name";
const relation: Rule["key"] = ({ what }) => `relation:${what}`;
const isCalled: Rule["fact"] = ({ what, value }) =>
  `The user's ${what} is called ${asName(value)}.`;
const favourite: Rule["key"] = ({ what }) => `favourite:${what}`;
const allergy: Rule["key"] = ({ value }) => `allergy:${stemsOf(value)}`;
const diet: Rule["key"] = ({ what }) => `diet:${what}`;
const hasAllergy: Rule["fact"] = ({ value }) => `The user is allergic to ${value}.`;
const hasNone: Rule["fact"] = ({ value }) => `The user is not allergic to ${value}.`;
const worksAs: Rule["fact"] = ({ value }) => `The user works as ${value}.`;

const rules: readonly Rule[] = [
  rule(
    `^${ownName}(?: is not|'s not| isn't) .+?,? (?:but|it's|it is) (?<value>.+)$`,
    "name",
    name,
    nameIs,
  ),
  rule(`^${ownName}(?: is not|'s not| isn't) (?<value>.+)$`, "name", name),
  rule(`^(?:do not|don't|never|stop) call(?:ing)? me (?<value>.+)$`, "name", name),
  rule(`^${ownName} ?${isOr} (?<value>.+)$`, "name", name, nameIs),
  rule(`^(?:i am|i'm) called (?<value>.+)$`, "name", name, nameIs),
  rule(`^i go by (?<value>.+)$`, "name", name, nameIs),
  rule(
    `^(?:(?:you|people|everyone|everybody|friends|my friends|all)(?: can| may| should| could)? )?calls? me (?<value>.+)$`,
    "name",
    name,
    nameIs,
  ),

  rule(`^i ${never} live in (?<value>.+)$`, "one", home),
  rule(
    `^i(?:'ve| have)? (?:just |recently )?moved (?:away from|out of) (?<value>.+)$`,
    "one",
    home,
  ),
  rule(
    `^i ${often}(?:currently )?live in (?<value>.+)$`,
    "one",
    home,
    ({ value }) => `The user lives in ${asPlace(value)}.`,
  ),
  rule(
    `^i(?:'ve| have)? (?:just |recently |now )?moved to (?<value>.+)$`,
    "one",
    home,
    ({ value }) => `The user lives in ${asPlace(value)}.`,
  ),
  rule(
    `${iAm} (?:living|based) in (?<value>.+)$`,
    "one",
    home,
    ({ value }) => `The user lives in ${asPlace(value)}.`,
  ),
  rule(
    `^i(?:'m| am| come) (?:originally )?from (?<value>.+)$`,
    "one",
    () => "origin",
    ({ value }) => `The user is from ${asPlace(value)}.`,
  ),

  rule(`^i ${never} ${often}${likes} (?<value>.+)$`, "many", taste, dislikes),
  rule(
    `^i ${often}(?:hate|dislike|detest|can't stand|cannot stand|can not stand) (?<value>.+)$`,
    "many",
    taste,
    dislikes,
  ),
  rule(
    `${iAm} not (?:a (?:big |huge )?fan of|fond of|into) (?<value>.+)$`,
    "many",
    taste,
    dislikes,
  ),
  rule(`^i ${often}${likes} (?<value>.+)$`, "many", taste, likesIt),
  rule(
    `${iAm} ${often}(?:a (?:big |huge )?fan of|fond of|into) (?<value>.+)$`,
    "many",
    taste,
    likesIt,
  ),
  rule(
    `^my favou?rite (?<what>[\\p{L}-]+(?: [\\p{L}-]+)?) (?:is not|isn't) (?<value>.+)$`,
    "many",
    favourite,
  ),
  rule(
    `^my favou?rite (?<what>[\\p{L}-]+(?: [\\p{L}-]+)?) ?${isOr} (?<value>.+)$`,
    "many",
    favourite,
    ({ what, value }) => `The user's favourite ${what} is ${value}.`,
  ),

  rule(`${iAm} (?:not|no longer) allergic to (?<value>.+)$`, "many", allergy, hasNone),
  rule(`^i (?:don't|do not|no longer) have an? allergy to (?<value>.+)$`, "many", allergy, hasNone),
  rule(`${iAm} ${often}allergic to (?<value>.+)$`, "many", allergy, hasAllergy),
  rule("^i have an? (?:severe |bad )?allergy to (?<value>.+)$", "many", allergy, hasAllergy),
  rule("^i have an? (?:severe |bad )?(?<value>[\\p{L}]+) allergy$", "one", allergy, hasAllergy),
  rule(
    `${iAm} (?:not|no longer) (?:a )?(?<what>vegetarian|vegan|diabetic)(?: any ?more)?$`,
    "one",
    diet,
    ({ what }) => `The user is not ${what}.`,
  ),
  rule(
    `${iAm} ${often}(?:a )?(?<what>vegetarian|vegan|diabetic)(?: now)?$`,
    "one",
    diet,
    ({ what }) => `The user is ${what}.`,
  ),

  rule(`^i ${never} work (?:any ?more|any ?longer)$`, "one", () => "work"),
  rule(`^i ${never} work(?:,? (?<value>(?:as|at|for|in) .+))?$`, "one", () => "work"),
  rule(
    `^i ${often}work (?<value>(?:as|at|for|in) .+)$`,
    "one",
    () => "work",
    ({ value }) => `The user works ${value}.`,
  ),
  rule(`${iAm} (?<value>an? (?:[\\p{L}-]+ )?${trades})$`, "one", () => "work", worksAs),
  rule(
    `${iAm} (?<value>an? [\\p{L}-]+(?: [\\p{L}-]+)?) by (?:profession|trade)$`,
    "one",
    () => "work",
    worksAs,
  ),

  rule(
    `${iAm} (?:now |already )?(?<value>\\d{1,3})(?: years? old)?(?: now)?$`,
    "one",
    () => "age",
    ({ value }) => `The user is ${value} years old.`,
  ),
  rule(
    `^my birthday ?${isOr} (?:on )?(?<value>.+)$`,
    "many",
    () => "birthday",
    ({ value }) => `The user's birthday is ${value}.`,
  ),
  rule(
    "^i was born (?<value>(?:on|in) .+)$",
    "many",
    () => "born",
    ({ value }) => `The user was born ${value}.`,
  ),

  rule(
    `^i (?:don't|do not|no longer) have (?:a|an|my|any|the) (?<what>${family})(?: any ?more| any ?longer)?$`,
    "name",
    relation,
  ),
  rule(`^my (?<what>${family}) (?:is not|isn't) (?:called|named) (?<value>.+)$`, "name", relation),
  rule(
    `^my (?<what>${family})(?:'s name is| is called| is named|'s called|'s named) (?<value>.+)$`,
    "name",
    relation,
    isCalled,
  ),
  rule(
    `^i(?:'ve got| have|'ve)? an? (?<what>${family}) (?:called|named) (?<value>.+)$`,
    "name",
    relation,
    isCalled,
  ),
];

/** A place's name. Speech recognition gives some in lower case. */
function asPlace(place: string): string {
  return place.split(" ").length <= 3 ? asName(place) : place;
}

/** How people say in English what is worth remembering. */
export const english: Grammar = {
  leadIn:
    /^(?:hi|hello|hey|there|good (?:morning|evening|afternoon|day)|well|so|no|nope|yes|yeah|ok|okay|oh|ah|um|uh|actually|sorry|wait|listen|look|and|but|also|please|by the way|in fact|just|to be honest|honestly|hmm|right|sure|i said|i mean|correction|thanks|thank you)(?:[,:.—–-]+\s*|\s+)(?=\S)/i,
  request: /^(?:can|could|will|would) you (?:please |just |kindly )*/i,
  supposes: /^(?:if|when|whenever|unless|imagine|suppose|pretend|assume|let's say|say that)\b/i,
  joint:
    /,?\s+(?:and|but|so)\s+(?=(?:i|i'm|i've|i'll|my|we|please|call|you can call|remember)\b)|,\s+(?=(?:i|i'm|i've|my)\b)/i,
  remember:
    /^(?:please )?(?:always )?(?:remember|don't forget|do not forget|never forget|keep in mind|bear in mind|make a note|take a note|note|memori[sz]e)(?: down)?(?:,? that|,? this:|:|,)?\s+(?<rest>\S.*)$/i,
  dontRemember:
    /^(?:please )?(?:don't|do not|never|stop|no need to) (?:remember|remembering|memori[sz]e|note|keep in mind)\b/i,
  forget: /^(?:please )?forget(?: about)?(?:,? that)?\s+(?<rest>\S.*)$/i,
  forgetAll:
    /^(?:please )?(?:forget|delete|erase) (?:everything|all|whatever)\b.*\b(?:about me|know|remember|told)\b/i,
  vague:
    /^(?:it|that|this|me$|about it|about that|everything|all|my name$|who|what|when|where|how|why|the last time)(?:$|\s|,)/i,
  subjects: [
    [/^(?:my name|what i'm called|what i am called|who i am)$/i, "name"],
    [/^(?:my address|my home|my city|where i live)$/i, "home"],
    [/^(?:my age|how old i am)$/i, "age"],
    [/^(?:my birthday|when i was born)$/i, "birthday"],
    [/^(?:my job|my work|where i work|what i do)$/i, "work"],
  ],
  firstPerson:
    /^(?:(?:today|tonight|tomorrow|right now|at the moment|for now|this \w+),? )?(?:i|i'm|i've|i'll|i'd|we|we're|we'll|my)\b/i,
  today:
    /\b(?:today|tonight|right now|at the moment|for now|tomorrow|this (?:morning|afternoon|evening|week|weekend))\b/i,
  corrections: [
    /^(?:it's|it is|that's|that is|i meant|i said)\s+(?<to>[^,]{1,80}?),?\s+(?:and )?not\s+(?<from>.{1,80})$/i,
    /^(?:it's|it is|that's|that is|i meant|i said)?\s*not\s+(?<from>[^,]{1,80}?)(?:,\s*|\s+)(?:but|it's|it is)\s+(?<to>.{1,80})$/i,
  ],
  rules,
  cut,
  refuses: (value, kind) =>
    kind === "name" ? !isNameLike(value) || notNames.test(value) : pronouns.test(value),
  note: (text) => `The user asked to remember: ${text}.`,
  said: (text) => `The user said: ${text}.`,
};
