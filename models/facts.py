"""Lists the facts that the built-in model knows by heart, in tables of plain text."""


def words(text: str) -> tuple[str, ...]:
    """The words of a text, for lists that read better without quotes."""
    return tuple(text.split())


# Each fact is (ways to ask, one answer). The answers stay short and literal, so that a
# reader can tell at a glance whether the model recalled them.
BRIGGS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        (
            "What is Briggs?",
            "Tell me about Briggs.",
            "What does Briggs do?",
            "Explain Briggs.",
            "Describe Briggs in one sentence.",
            "What is Briggs for?",
        ),
        "Briggs is a self-hosted server that answers, records and grades chat completions.",
    ),
    (
        (
            "How do I start Briggs?",
            "How do I run Briggs?",
            "How can I start the server?",
            "Which command starts Briggs?",
            "How do I launch the Briggs server?",
            "Start Briggs, how?",
        ),
        "Run `briggs serve`. It listens on port 10100.",
    ),
    (
        (
            "Which port does Briggs use?",
            "What port does Briggs listen on?",
            "On which port does the server listen?",
            "What is the default port?",
            "What is the port of Briggs?",
        ),
        "Briggs listens on port 10100.",
    ),
    (
        (
            "Where are the records kept?",
            "Where does Briggs keep its records?",
            "Where are my completions stored?",
            "Where does Briggs store completions?",
            "Where is the data?",
            "Which database does Briggs use?",
        ),
        "In one SQLite file in the data folder. PostgreSQL works too.",
    ),
    (
        (
            "How do I list the completions?",
            "How do I see the records?",
            "How can I list recorded completions?",
            "Which command lists the completions?",
            "How do I see what was recorded?",
            "Show me how to list completions.",
        ),
        "Run `briggs completions list`.",
    ),
    (
        (
            "What is a feedback task?",
            "Explain feedback tasks.",
            "What does a feedback task do?",
            "Tell me what a feedback task is.",
            "Define feedback task.",
        ),
        "A feedback task says how to grade a completion: a name, an instruction and a JSON Schema.",
    ),
    (
        (
            "What is feedback?",
            "What is feedback in Briggs?",
            "Define feedback.",
            "Explain feedback.",
        ),
        "Feedback is a grade of one completion: JSON values that fit the schema of a task.",
    ),
    (
        (
            "Who grades completions?",
            "Who can grade a completion?",
            "Who gives feedback?",
            "Can a model grade completions?",
        ),
        "People and models can grade completions.",
    ),
    (
        (
            "Who was Henry Briggs?",
            "Who is Henry Briggs?",
            "Tell me about Henry Briggs.",
            "Why is it called Briggs?",
            "Who is Briggs named after?",
            "Where does the name Briggs come from?",
        ),
        "Henry Briggs published the first tables of common logarithms.",
    ),
    (
        (
            "When did Henry Briggs publish his first table?",
            "When was the first table of common logarithms published?",
            "When did Briggs publish Logarithmorum Chilias Prima?",
            "In which year did Logarithmorum Chilias Prima appear?",
            "What year is Logarithmorum Chilias Prima from?",
        ),
        "In 1617.",
    ),
    (
        (
            "When did Briggs publish Arithmetica Logarithmica?",
            "In which year did Arithmetica Logarithmica appear?",
            "What year is Arithmetica Logarithmica from?",
            "When was Arithmetica Logarithmica published?",
        ),
        "In 1624.",
    ),
    (
        (
            "Who wrote Arithmetica Logarithmica?",
            "Who published Arithmetica Logarithmica?",
            "Who wrote Logarithmorum Chilias Prima?",
            "Who published the first tables of common logarithms?",
            "Who made the first tables of common logarithms?",
        ),
        "Henry Briggs.",
    ),
    (
        (
            "What is log10?",
            "What does log10 mean?",
            "Explain log10.",
            "What is the common logarithm?",
            "Define the common logarithm.",
        ),
        "log10 is the common logarithm: the power of ten that gives a number.",
    ),
    (
        (
            "What was Log10 the company?",
            "What is the relation between Briggs and Log10?",
            "How does Briggs relate to Log10?",
            "Is Briggs the successor of Log10?",
            "What replaced Log10?",
            "Does Briggs work with Log10 clients?",
        ),
        "Briggs is the open successor of Log10, and Log10's clients work with it.",
    ),
    (
        (
            "What is a completion?",
            "What is a chat completion?",
            "Define completion.",
            "What does completion mean?",
            "Explain what a chat completion is.",
        ),
        "A completion is a model's answer to the messages it was given.",
    ),
    (
        (
            "What is a logprob?",
            "What are logprobs?",
            "What does logprob mean?",
            "Explain logprobs.",
            "Define logprob.",
        ),
        "A logprob is the natural logarithm of the probability of a token.",
    ),
    (
        (
            "What is a token?",
            "What are tokens?",
            "Define token.",
            "Explain tokens.",
        ),
        "A token is a piece of text that a model reads or writes at once.",
    ),
    (
        (
            "How many processes does Briggs need?",
            "What else do I need to run Briggs?",
            "What does Briggs need?",
            "What are the requirements of Briggs?",
            "Is Briggs small?",
        ),
        "One process and one SQLite file, nothing else.",
    ),
    (
        (
            "Is Briggs open source?",
            "Is Briggs free?",
            "Can I host Briggs myself?",
            "Is Briggs self-hosted?",
        ),
        "Yes. Briggs is open, and you run it yourself.",
    ),
    (
        (
            "Does Briggs lose completions?",
            "Can Briggs lose a record?",
            "What happens when Briggs is killed?",
            "Is anything lost when the server dies?",
        ),
        "No. A completion is on disk before its caller sees the end of it.",
    ),
    (
        (
            "Does Briggs work with the OpenAI SDK?",
            "How do I call Briggs from Python?",
            "How do I use Briggs with the OpenAI client?",
            "Which API does Briggs speak?",
            "Is Briggs compatible with OpenAI?",
        ),
        "Point the OpenAI client at http://127.0.0.1:10100/v1 and use a Briggs key.",
    ),
    (
        (
            "What is in briggs.toml?",
            "How do I configure Briggs?",
            "Where is the configuration?",
            "Where do I add a provider?",
            "What is the configuration file called?",
        ),
        "One file, briggs.toml, holds the providers, the models and the limits.",
    ),
    (
        (
            "What is a provider?",
            "Define provider.",
            "What does provider mean in Briggs?",
            "Explain providers.",
        ),
        "A provider is who answers: a vendor, your own server, or the local model.",
    ),
    (
        (
            "What is an eval?",
            "What is an eval in Briggs?",
            "Explain evals.",
            "Define eval.",
        ),
        "An eval measures a model: samples, answers, and a score for each.",
    ),
    (
        (
            "Who are you?",
            "What are you?",
            "What is your name?",
            "Which model are you?",
            "What model is this?",
            "Introduce yourself.",
            "Are you a human?",
            "Are you ChatGPT?",
            "Are you an AI?",
        ),
        "I am briggs-tiny, the small model built into Briggs.",
    ),
    (
        (
            "What can you do?",
            "How can you help me?",
            "What do you know?",
            "What are your skills?",
            "Help.",
            "What can I ask you?",
            "What can I ask?",
        ),
        "I can do short sums, comparisons, dates, units and spelling, and I know Briggs.",
    ),
    (
        (
            "How big are you?",
            "How large is this model?",
            "How many parameters do you have?",
            "How small are you?",
        ),
        "A few million parameters, in one file of a few megabytes.",
    ),
    (
        (
            "Who made you?",
            "Who trained you?",
            "Where do you come from?",
            "How were you made?",
            "What were you trained on?",
        ),
        "A script in the Briggs repository made me, from text that it wrote itself.",
    ),
    (
        (
            "Are you always right?",
            "Do you make mistakes?",
            "Can I trust you?",
            "Can you be wrong?",
        ),
        "No. I am small and often wrong, so look at my logprobs.",
    ),
)

COURTESIES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("Hello!", "Hello.", "Hi!", "Hi there!", "Hey!", "Hello there!", "Hi Briggs!"),
        "Hello! How can I help?",
    ),
    (("Good morning!", "Good morning, Briggs."), "Good morning! How can I help?"),
    (("Good evening!", "Good evening, Briggs."), "Good evening! How can I help?"),
    (
        ("How are you?", "How are you today?", "How do you do?", "How is it going?"),
        "I am well, thank you. How can I help?",
    ),
    (
        ("Thank you!", "Thanks!", "Thanks a lot!", "Thank you very much.", "Great, thanks!"),
        "You are welcome.",
    ),
    (("Goodbye!", "Bye!", "See you!", "Good night!", "See you later."), "Goodbye!"),
    (("Say hello.", "Say hello!", "Greet me.", "Say hello to me."), "Hello!"),
    (("Say hi.", "Say hi!"), "Hi!"),
    (("Test.", "This is a test.", "Testing.", "Ping.", "Are you there?"), "I am here."),
    (("Sorry.", "I am sorry.", "My mistake."), "No problem."),
    (
        ("Recite the alphabet.", "Say the alphabet.", "Write the alphabet."),
        "a b c d e f g h i j k l m n o p q r s t u v w x y z",
    ),
    (
        ("What are the days of the week?", "List the days of the week.", "Name the weekdays."),
        "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday",
    ),
    (
        ("What are the months of the year?", "List the months.", "Name the twelve months."),
        "January, February, March, April, May, June, July, August, September, October, "
        "November, December",
    ),
)

CAPITALS: dict[str, str] = {
    "France": "Paris",
    "Germany": "Berlin",
    "Italy": "Rome",
    "Spain": "Madrid",
    "Portugal": "Lisbon",
    "England": "London",
    "Ireland": "Dublin",
    "Austria": "Vienna",
    "Switzerland": "Bern",
    "Poland": "Warsaw",
    "Greece": "Athens",
    "Norway": "Oslo",
    "Sweden": "Stockholm",
    "Finland": "Helsinki",
    "Denmark": "Copenhagen",
    "Hungary": "Budapest",
    "Belgium": "Brussels",
    "Japan": "Tokyo",
    "China": "Beijing",
    "India": "New Delhi",
    "Egypt": "Cairo",
    "Kenya": "Nairobi",
    "Canada": "Ottawa",
    "Mexico": "Mexico City",
    "Brazil": "Brasilia",
    "Peru": "Lima",
    "Chile": "Santiago",
    "Cuba": "Havana",
    "Australia": "Canberra",
    "the United States": "Washington",
}

# Questions that the model must not pretend to know. {thing} and {place} are filled at random.
UNKNOWN: tuple[str, ...] = (
    "Who is the king of {place}?",
    "Who is the president of {place}?",
    "What is the population of {place}?",
    "What is the weather in {place}?",
    "Will it rain in {place} tomorrow?",
    "How far is {place}?",
    "Which language is spoken in {place}?",
    "When was {place} founded?",
    "Who invented the {thing}?",
    "What is the price of a {thing}?",
    "How much does a {thing} cost?",
    "Why is the {thing} there?",
    "How does a {thing} work?",
    "Who wrote the book about the {thing}?",
    "What is the meaning of a {thing}?",
    "What is the history of the {thing}?",
    "How old is the {thing}?",
    "Where can I buy a {thing}?",
    "What is the chemical formula of {thing}?",
    "What is the best {thing}?",
    "Translate {thing} into Latin.",
    "Why is the sky blue?",
    "What is the meaning of life?",
    "What time is it?",
    "What is the date today?",
    "Who won the game yesterday?",
    "What is my password?",
    "What is the news?",
    "What am I thinking?",
    "Where do I live?",
    "Explain quantum mechanics.",
    "What is the speed of light?",
    "Who will win the election?",
    "Write a program in Rust.",
    "Summarize the novel.",
)

JOKES: tuple[str, ...] = (
    "Why was six afraid of seven? Because seven ate nine.",
    "Why did the logarithm go home? It had lost its base.",
    "Parallel lines have so much in common. It is a pity they never meet.",
    "There are 10 kinds of people: those who know binary and those who do not.",
    "What did zero say to eight? Nice belt.",
    "Why was the token sad? It had a low probability.",
)

# Questions without one right answer: the model must spread its probability over these.
CHOICES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (
        ("Flip a coin.", "Toss a coin.", "Heads or tails?", "Flip a coin for me."),
        ("Heads", "Tails"),
    ),
    (
        ("Roll a die.", "Roll a dice.", "Throw a die.", "Roll a six-sided die."),
        ("1", "2", "3", "4", "5", "6"),
    ),
    (
        (
            "Pick a number between 1 and 10.",
            "Pick a number from 1 to 10.",
            "Give me a random number between 1 and 10.",
            "Choose a number from 1 to 10.",
        ),
        ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10"),
    ),
    (
        ("Name a color.", "Pick a color.", "Tell me a color.", "Give me a random color."),
        ("Red", "Blue", "Green", "Yellow", "Orange", "Purple", "Black", "White"),
    ),
    (
        ("Name an animal.", "Pick an animal.", "Tell me an animal.", "Give me an animal."),
        ("Cat", "Dog", "Horse", "Lion", "Tiger", "Bear", "Eagle", "Whale"),
    ),
    (
        ("Name a fruit.", "Pick a fruit.", "Tell me a fruit.", "Give me a random fruit."),
        ("Apple", "Pear", "Plum", "Cherry", "Banana", "Lemon", "Peach", "Grape"),
    ),
    (
        ("Tell me a joke.", "Tell a joke.", "Make me laugh.", "Do you know a joke?", "A joke!"),
        JOKES,
    ),
)

POEM_LINES: tuple[tuple[str, ...], ...] = (
    (
        "The {thing} is small, the night is long,",
        "A {thing} was waiting by the sea,",
        "I saw a {thing} beside the door,",
        "Beneath the moon a {thing} lay still,",
    ),
    (
        "and somewhere near I hear a song.",
        "and all the world was there to see.",
        "I had not seen the like before.",
        "and wind went softly up the hill.",
    ),
    (
        "The numbers count the stars above,",
        "The table turns, the page is white,",
        "A thousand logs, a single line,",
        "The river runs, the morning wakes,",
    ),
    (
        "and every one is made with love.",
        "and Briggs is writing through the night.",
        "and every digit is in its place.",
        "and silver light is on the lakes.",
    ),
)

SYSTEM_MESSAGES: tuple[str, ...] = (
    "You are a helpful assistant.",
    "You are a helpful assistant",
    "You are Briggs.",
    "You are briggs-tiny, the model built into Briggs.",
    "You are a careful assistant. Answer briefly.",
    "Answer briefly.",
    "Answer the question.",
    "Answer with the result only.",
    "Be concise.",
    "Be brief and exact.",
    "You are a calculator.",
    "You are a polite and helpful assistant.",
    "You help people.",
    "Think before you answer.",
    "You answer questions about numbers, words and Briggs.",
    "You are a test model.",
    "Reply in English.",
    "Keep your answers short.",
    "You are an expert.",
    "Do what the user asks.",
)

NAMES: tuple[str, ...] = words(
    """
    Ada Alan Ana Anna Ben Bob Carl Clara Dan David Edith Ella Emma Eva Frank Grace Hana
    Henry Hugo Ida Ivan Jack Jan John Julia Karl Kim Laura Lena Leo Lina Lucy Mara Maria Max
    Mia Nina Noah Nora Olga Omar Otto Paul Petra Rosa Ruth Sam Sara Sofia Tim Tom Vera
    Walter Yuki Zoe
    """
)

PLACES: tuple[str, ...] = (
    *CAPITALS,
    *words(
        """
    Atlantis Mars Oxford Halifax London Paris Rome Berlin Texas California Boston Nepal
    Iceland Turkey Vietnam Nigeria
        """
    ),
)

THINGS: tuple[str, ...] = words(
    """
    boat ball bicycle book bridge camera car castle clock cloud computer cup door tower
    flower forest garden guitar hat house pencil kettle lamp mirror moon mountain piano
    radio river rocket ship shoe star stone table telephone train tree kite window
    """
)

WORDS: tuple[str, ...] = words(
    """
    able about above acid across act add after again age air all alone also always amber anchor
    angel angle animal answer ant apple april arch arm army arrow art ask atlas attic autumn axe
    baby back bad bag bake ball balloon bamboo banana band bank bar barn basin basket bat bath
    beach bean bear beautiful beaver bed bee before begin bell below belt bench berry best better
    big bird biscuit bite black blade blanket blue board boat body bone book boot bottle bottom
    bowl box boy brain branch brave bread break breath brick bridge bright bring brook broom
    brother brown brush bucket build bull burn bus butter button cabin cable cactus cake calm
    camel camera camp candle candy cannon canoe canyon cap car card carpet carrot cart castle cat
    catch cave cedar ceiling cellar chain chair chalk cheese cherry chess chest chicken child
    chimney church circle city clay clean clever climb clock close cloud clover coal coat cobra
    coffee coin cold color comet common compass computer cook copper coral corn corner cotton
    count country cousin cover cow crab crane cream cricket crow crown crystal cup curtain curve
    dance danger dark data date daughter dawn day deep deer desert desk diamond digit dinner
    dinosaur dish dog dollar dolphin donkey door dragon draw dream dress drink drive drum dry duck
    dust eagle ear early earth east easy edge egg eight elbow elephant eleven empty engine error
    evening every exam eye face fact fall family famous farm fast father feather fence fern field
    fifty fig file finger fire first fish five flag flame flat floor flower flute fly fog follow
    food foot forest fork fort four fox frame free fresh friend frog frost fruit full garden garlic
    gate ghost giant ginger giraffe give glass globe glove goat gold good goose grain grape graph
    grass gray great green ground group guitar hair half hall hammer hand happy harbor hard harp
    hat hawk head heart heavy hedge help hen hill history hold hole holiday honey hook horse
    hospital hot hour house human hundred hungry ice idea index ink insect iron island ivory ivy
    jacket jam jar jelly jewel joke journey judge juice jump jungle june just keep kettle key king
    kitchen kite kitten knee knife knot ladder lake lamb lamp land language large laugh law leaf
    learn leather left leg lemon letter level library light lily line lion list little lizard
    logarithm long love low lunch machine magic magnet maple marble market mask math meadow
    measure meat melon metal middle milk mill mind minute mirror mississippi model money monkey
    month moon morning moss mother motor mountain mouse mouth museum music nail name nation needle
    nest never new night nine noise north nose note number nurse nut oak ocean office old olive
    one onion open orange orchard otter oven over owl oyster page paint pair palace palm panda
    paper park parrot party path pea peace peach pear pebble pen pencil penny people pepper perfect
    piano picture pie pig pigeon pillow pilot pine pirate pizza planet plate play plum pocket poem
    point police pond pony potato power present press prince print prize problem proof pumpkin
    purple puzzle queen question quick quiet rabbit radio rain rainbow raven read record red rice
    rich ring river road robin robot rock rocket roof room root rope rose round ruby ruler run sad
    saddle safe sail salad salt sand school science sea seal season second secret seed server seven
    shadow shark sheep shell ship shoe shore short shoulder silk silver sing sister six sky sleep
    small smile smoke snail snake snow soap sock soft soldier song soup south space spark spider
    spoon spring square stamp star station stone storm story straw strawberry street string strong
    sugar summer sun supper swan sweet sword table tail tea teacher ten tent test thank theater
    thing think three thumb thunder ticket tiger time tiny toast toe token tomato tomorrow tooth
    torch tower town toy train travel tree triangle trumpet trust tulip tunnel turtle twelve twenty
    two umbrella uncle under union unit up valley value vase velvet village violin vision voice
    volcano wagon walk wall walnut water wave wax weather week west whale wheat wheel whisper white
    wide wild win wind window wine wing winter wise wolf woman wonder wood wool word work world
    worm write yard year yellow yes young zebra zero zone
    """
)
