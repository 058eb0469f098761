"""Leaks written by hand: class of EPIC-KITCHENS-100 = what a question must not say."""

NOUN_LEAKS = {
    "plural": "knife=knives; leaf=leaves; tomato=tomatoes; potato=potatoes; box=boxes; "
    "dish=dishes; glass=glasses; cherry=cherries; berry=berries; strawberry="
    "strawberries; battery=batteries; shelf=shelves; peach=peaches; brush=brushes; "
    "sandwich=sandwiches; mouse=mice; loaf=loaves; radish=radishes; spatula=spatulas; "
    "mango=mangoes; curry=curries; squash=squashes; avocado=avocados; "
    "chopstick=chopsticks; tongs=tong; pastry=pastries; cookie=cookies; tooth=teeth",
    "compound": "board:chopping=chopping board; board:chopping=cutting boards; "
    "liquid:washing=washing up liquid; machine:washing=washing machine; "
    "peeler:potato=potato peeler; towel:kitchen=kitchen towels; wrap:plastic=cling "
    "film; rack:drying=drying rack; onion:spring=spring onions; pin:rolling=rolling "
    "pin; shell:egg=egg shells; processor:food=food processor; cooker:slow=slow "
    "cooker; opener:bottle=bottle opener; fan:extractor=extractor fan; bean:green="
    "green beans; finger:lady=lady finger; control:remote=remote control; pan:dust="
    "dust pan; powder:washing=washing powder; cutter:pizza=pizza cutter; machine:sous:"
    "vide=sous vide machine; mat:sushi=sushi mat; stick:crab=crab sticks; grass:lemon="
    "lemon grass; extract:vanilla=vanilla extract; maker:coffee=coffee maker; "
    "board:chopping=choppingboard",
    "synonym": "plate=saucer; cupboard=cabinet; bin=dustbin; cup=mug; pan=saucepan; "
    "cloth=dishcloth; sponge=scourer; cutlery=silverware; colander=strainer; "
    "yoghurt=yogurt; hummus=humus; tv=stereo; coriander=cilantro; package=wrapper; "
    "package=sachet; hob=stove; fridge=refrigerator; rubbish=garbage; spoon=teaspoon; "
    "bread=baguette; pasta=spaghetti; board:chopping=pad; tap=faucet; courgette="
    "zucchini; aubergine=eggplant; trousers=trouser; knife=blade; phone=smartphone",
    "upper case": "tap=TAP; plate=PLATES; knife=KNIVES; oven=OVEN; salt=SALT; milk="
    "MILK; "
    "water=WATER; onion=ONIONS; bowl=BOWL; fork=FORK; lid=LID; cup=CUPS; oil=OIL; "
    "egg=EGGS; rice=RICE; bin=BIN; jar=JAR; pot=POTS; sink=SINK; towel=TOWEL; bag="
    "BAGS; "
    "can=CAN; kettle=KETTLE; tray=TRAY; meat=MEAT; bread=BREAD; jug=JUGS; box=BOX",
    "hyphen": "board:chopping=chopping-board; pan=pan-like; tap=tap-shaped; "
    "water=water-filled; egg=egg-yellow; oven=oven-ready; salt=salt-free; knife="
    "knife-edge; onion:spring=spring-onion; pin:rolling=rolling-pin; tea=tea-time; "
    "sugar=sugar-free; glass=glass-topped; machine:washing=washing-machine; cup="
    "cup-sized; lid=lid-less; bowl=bowl-shaped; cheese=cheese-like; fish=fish-shaped; "
    "rice=rice-based; oil=oil-based; meat=meat-free; bread=bread-coloured; plate="
    "plate-sized; bottle=bottle-necked; bean:green=green-beans; fork=fork-tender; "
    "milk=milk-white",
    "possessive": "tap=tap's; plate=plates'; knife=knife's; bottle=bottle’s; oven="
    "oven's; "
    "bowl=bowls'; fridge=fridge's; pan=pan’s; lid=lid's; cup=cup's; jar=jars'; bag="
    "bag's; box=box's; drawer=drawer's; spoon=spoons’; kettle=kettle's; onion=onion's; "
    "egg=eggs'; board:chopping=chopping board's; sink=sink's; bin=bin's; pot=pot's; "
    "towel=towel's; tray=tray's; hob=hob's; potato=potatoes'; cupboard=cupboard's; "
    "glass=glass's",
}
VERB_LEAKS = {
    "-ing": "take=taking; put=putting; wash=rinsing; open=opening; close=shutting; "
    "insert=inserting; turn-on=switching on; cut=cutting; turn-off=turning off; pour="
    "pouring; mix=stirring; move=moving; remove=removing; throw=throwing; dry=drying; "
    "shake=shaking; scoop=scooping; squeeze=squeezing; peel=peeling; empty=emptying; "
    "flip=flipping; pat=patting; lift=lifting; eat=eating; wrap=tying; set=setting; "
    "rub=rubbing; stab=stabbing",
    "past tense": "take=took; take=taken; put=put; wash=washed; throw=threw; throw="
    "thrown; shake=shook; shake=shaken; break=broke; break=broken; eat=ate; eat=eaten; "
    "hold=held; hang=hung; drink=drank; drink=drunk; slide=slid; knead=kneaded; feel="
    "felt; choose=chose; bend=bent; unfreeze=unfroze; unfreeze=unfrozen; wear=worn; "
    "cut=sliced; mix=stirred; rip=torn; dry=dried; crush=ground; brush=swept; stretch="
    "stretched; squeeze=wrung; unroll=unrolled; turn-on=lit; spray=sprayed; put=left",
}


def pairs(text: str) -> list[tuple[str, str]]:
    """``(class, leak)`` of one kind."""
    return [tuple(entry.strip().split("=")) for entry in text.split(";")]  # type: ignore[misc]
