"""Facts of English that no rule gives: irregular forms, small words, other names."""


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _families(text: str) -> dict[str, list[str]]:
    """Words by the first of each group; groups end with a comma."""
    groups = (group.split() for group in text.split(","))
    return {first: rest for first, *rest in groups}


# what may stand inside a compound: "flow of the tap" is not, "slice of bread" is
INSIDE_COMPOUND = _set("of for")
# a particle may stand behind the object: "put the <mask> down"
MOBILE = _set("up down off out away back apart together aside over")
# these are prepositions unless nothing follows: "turn the <mask> on"
MOBILE_AT_END = _set("on in around through")
# what follows a particle that has no object: "turn the <mask> on at once"
AFTER_PARTICLE = _set(
    "and or then while before after when so but as until because at by for from with "
    "now again here there today just already yet soon once first next is are was were "
    "do does did who what which where why how"
)
LONGEST_OBJECT = 7  # words between a verb and its particle
SMALL_WORDS = _set(
    "a an the of for in on to up off out with from and at by into onto over"
)

# words of one spelling that are no class word where they stand so
AUXILIARIES = _set("have has had having")
BEFORE_CAN = _set(
    "what which who whom whose where when why how you i we they he she it one that "
    "person wearer someone somebody anyone cook"
)
AFTER_CAN = _set("you i we they he she it one be not also the this that")
BEFORE_A_NOUN = _set("a an the this that each every another tin empty")
AFTER_LEFT = _set("hand hands side arm palm fingers of corner")

# what is called by no rule after a verb or a noun: a word, and what is made of it
DERIVED = _families(
    """
    adjust adjustment readjust readjustment, apply application reapply,
    arrange arrangement, assemble assembly, attach attachment, bake bakery,
    check recheck, choose choice, clean cleanliness unclean, close closure,
    clothes clothing, combine combination, compress compression, connect connection,
    cook cookery precook uncooked overcook undercooked, cut precut uncut,
    detach detachment, dispense dispensation, distribute distribution redistribute,
    divide division, extract extraction, fill refill unfilled overfill,
    filter filtration unfiltered, flatten flat flatter flattest,
    heat reheat preheat overheat, immerse immersion, insert insertion,
    inspect inspection, measure measurement, mix mixture unmixed remix,
    move movement, open reopen unopened, peel unpeeled, prepare preparation,
    regulate regulation, remove removal, retrieve retrieval, rotate rotation,
    salt unsalted, season unseasoned, select selection, separate separation,
    sharpen sharp sharper sharpest resharpen, submerge submersion,
    sweeten sweet sweeter sweetest unsweetened, transfer transferal,
    unpack unpacked, use usage reuse, wash rewash unwashed washable,
    water waterproof, weigh weight, wrap rewrap
    """
)
# nouns with an adjective in -y
WITH_Y = _set(
    "bread butter cheese chocolate cream crumb dough egg fish flour foam fruit garlic "
    "herb ice juice lemon lime meat milk mint mushroom nut oil onion orange paper "
    "pepper potato powder salt sauce seed skin soap spice starch sugar syrup tomato "
    "vinegar water wine yeast"
)
# words in -er that are no agent of the verb: a drawer is not who draws
NO_AGENTS = _set(
    "blower counter corner drawer fitter former layer letter number rubber shower "
    "timer user wearer"
)

# names of the same thing on the other side of the Atlantic, which the csv lacks
ELSEWHERE = {
    "aluminium": ("aluminum",),
    "aubergine": ("eggplant",),
    "bin": ("trash can", "garbage can", "wastebin"),
    "chilli": ("chili", "chile", "chilly"),
    "cling film": ("saran wrap", "plastic wrap"),
    "coriander": ("cilantro",),
    "countertop": ("worktop",),
    "courgette": ("zucchini",),
    "crisp": ("potato chip",),
    "fridge": ("refrigerator",),
    "gherkin": ("pickle",),
    "hob": ("stovetop", "stove top", "cooktop", "cook top"),
    "hoover": ("vacuum", "vacuum cleaner"),
    "hummus": ("houmous", "hoummos"),
    "jug": ("pitcher",),
    "lady finger": ("okra",),
    "mould": ("mold",),
    "omelette": ("omelet",),
    "pak choi": ("bok choy", "pak choy", "bok choi"),
    "phone": ("telephone", "cellphone", "cell phone"),
    "rocket": ("arugula",),
    "rubbish": ("trash", "garbage"),
    "scissors": ("shears",),
    "spring onion": ("scallion",),
    "tap": ("faucet", "spigot"),
    "tea towel": ("dish towel",),
    "trousers": ("pants",),
    "tv": ("television",),
    "whiskey": ("whisky",),
    "yoghurt": ("yogurt", "yoghourt"),
}

IRREGULAR_PAST = _families(
    """
    be was were been, begin began begun, bend bent, bind bound, bite bit bitten,
    blow blew blown, break broke broken, bring brought, build built, burn burnt,
    buy bought, catch caught, choose chose chosen, come came, creep crept, cut cut,
    dig dug, dip dipt, do did done, draw drew drawn, drink drank drunk,
    drive drove driven, eat ate eaten, fall fell fallen, feed fed, feel felt,
    find found, fit fit, fling flung, fly flew flown, freeze froze frozen,
    get got gotten, give gave given, go went gone, grind ground, grow grew grown,
    hang hung, have has had, hide hid hidden, hit hit, hold held, keep kept,
    kneel knelt, lay laid, lead led, lean leant, leave left, let let, lie lay lain,
    light lit, lose lost, make made, melt molten, pay paid, put put, read read,
    rid rid, ride rode ridden, ring rang rung, rise rose risen, run ran, saw sawn,
    see saw seen, seek sought, sell sold, send sent, set set, shake shook shaken,
    shave shaven, shine shone, shoot shot, show shown, shrink shrank shrunk,
    shut shut, sing sang sung, sink sank sunk, sit sat, slide slid, sling slung,
    slit slit, smell smelt, speed sped, spill spilt, spin spun, spit spat,
    split split, spoil spoilt, spread spread, spring sprang sprung, stand stood,
    steal stole stolen, stick stuck, stride strode, strike struck, string strung,
    sweep swept, swell swollen, swing swung, take took taken, tear tore torn,
    tell told, think thought, throw threw thrown, wear wore worn, weave wove woven,
    wet wet, wind wound, wring wrung, write wrote written
    """
)
IRREGULAR_PLURAL = _families(
    """
    child children, foot feet, fungus fungi, goose geese, man men, mouse mice,
    person people, tooth teeth, woman women
    """
)
